"""The towers, what they begin with, what they are shown, and the files that they are kept in."""
