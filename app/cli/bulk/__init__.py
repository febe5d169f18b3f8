"""`--ray`: the run over many pictures on many machines, by Ray Data. No other command imports Ray."""
