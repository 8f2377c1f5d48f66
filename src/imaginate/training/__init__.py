"""Classifier training. Reads only written data; knows nothing of methods and runs' making."""
