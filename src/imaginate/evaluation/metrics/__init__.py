"""Numbers about images, not about classifiers: a file for each metric, found by its name; `core/` is what all share."""
