"""Untrusted bytes to frozen requests: JSON, forms, raw bodies, vectors."""
