"""The training that made the embedded model. Serving never imports it."""
