"""results.json -> one self-contained HTML file."""
