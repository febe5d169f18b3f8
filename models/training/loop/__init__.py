"""The phases and the one loop that runs them, from the first weights to those that ship."""
