"""One file per filter; the file name is the registered name."""
