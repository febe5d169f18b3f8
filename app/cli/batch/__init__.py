"""`candid classify` on many pictures: where they come from, who answers, and where the answers go."""
