"""Measurement of the bundled models: `python -m imaginate.nano.evaluation clip|mae|sd|unclip`."""
