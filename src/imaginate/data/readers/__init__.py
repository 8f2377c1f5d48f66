"""One file per layout of labelled images; the registry finds them, and `data/opening.py` asks each in turn."""
