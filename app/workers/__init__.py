"""`candid serve --workers N`: N fronts speak HTTP and read pictures, one process has the models.

callers ─ front ─┐  pixels in memory that both see,
callers ─ front ─┼─ words and vectors by a pipe ─ owner: towers, one queue for all fronts
callers ─ front ─┘
"""
