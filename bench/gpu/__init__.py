"""All that a GPU is to be asked, in one command of less than eight minutes: `python -m bench.gpu`."""
