"""The honest protocol and its metrics -> results.json."""
