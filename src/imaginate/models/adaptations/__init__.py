"""What was learnt on a dataset, as a folder, and how it is loaded into a prior."""
