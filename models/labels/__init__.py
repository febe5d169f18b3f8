"""Labels to a zero-shot classifier: prompts, label sets, trees, matrices."""
