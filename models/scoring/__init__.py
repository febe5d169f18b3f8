"""Vectors to answers, in numpy alone: ranking, few-shot, many of many, none of these, calibration."""
