"""Embeddings on demand: what waits is batched, answered through futures, and cached."""
