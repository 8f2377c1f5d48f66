"""Folder with metadata, exports and the dataset card."""
