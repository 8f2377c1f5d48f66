"""One file per kind of picture: encoded bytes -> RGB pixels; the registry finds them, `data/decoding.py` asks them."""
