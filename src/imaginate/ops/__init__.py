"""Pure tensor functions: no models, no files, no state."""
