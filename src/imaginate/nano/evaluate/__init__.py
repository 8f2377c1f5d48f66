"""Measurement of the bundled models: `python -m imaginate.nano.evaluate clip|mae|sd|unclip`."""
