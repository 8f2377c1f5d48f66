"""The run: plan -> shards -> ledger, inline or on Ray."""
