"""Classifier training; reads only written data."""
