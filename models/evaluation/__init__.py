"""Labelled pictures, accuracy, and the report of it."""
