"""Training of the bundled models: `python -m imaginate.nano.train clip|mae|vae|sd|unclip|judge`."""
