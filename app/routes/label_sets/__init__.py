"""Stored label sets over HTTP: the sets, their examples, their calibration."""
