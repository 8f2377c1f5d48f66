"""One file per expansion method; the file name is the registered name."""
