"""Where in a picture its embedding comes from: one vector a place, by the way that fits the tower."""
