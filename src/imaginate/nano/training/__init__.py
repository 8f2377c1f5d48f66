"""Training of the bundled models: `python -m imaginate.nano.training clip|mae|vae|sd|unclip|judge`."""
