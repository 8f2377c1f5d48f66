"""The version of this package, which runs, studies and reports write down."""

__version__ = "0.1.0"
