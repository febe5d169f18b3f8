"""One small file per resource."""
