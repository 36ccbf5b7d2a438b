"""One file an experiment; each returns its settings from `get_config(arg)`."""
