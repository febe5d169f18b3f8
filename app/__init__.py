"""The web wing: HTTP in, JSON out. Knows no torch, no open_clip, no PIL."""

__version__ = "0.1.0"
