"""Where a request's time goes: steps that are noted on the way, and OpenTelemetry that sends them."""
