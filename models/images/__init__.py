"""Untrusted bytes to upright RGB to the model's pixels."""
