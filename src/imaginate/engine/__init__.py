"""The run: plan -> shards -> ledger, in one process, in several, or on Ray."""
