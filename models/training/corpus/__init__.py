"""What is learnt from: the pictures, the words that are true of each, and how both are drawn."""
