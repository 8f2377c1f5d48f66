"""Retrieval pool: embed, index, search."""
