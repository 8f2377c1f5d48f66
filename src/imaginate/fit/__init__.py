"""Personalisation: a dataset becomes an adaptation on disk, one file per technique."""
