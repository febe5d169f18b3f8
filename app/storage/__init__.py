"""Label sets at rest: tables, transactions, examples. Knows no HTTP and no model."""
