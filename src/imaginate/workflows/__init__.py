"""Whole jobs that cross rooms."""
