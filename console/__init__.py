"""People's doors: the command line (and later the operator console and agent desktop)."""
