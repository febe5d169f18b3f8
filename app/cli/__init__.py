"""The `candid` command, a file for each of its words."""
