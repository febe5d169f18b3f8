"""What a checkpoint is: the catalogue, its files, its tokenizer."""
