"""Adapters over frozen networks, one per role and family."""
