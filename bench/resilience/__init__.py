"""What the service promises under load, faults and bad input, measured: one module a promise."""
