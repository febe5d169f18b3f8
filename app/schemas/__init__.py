"""The JSON of requests and responses: pydantic models, and the examples of the docs page."""
