"""What all techniques share: images encoded once, one training loop, checkpoints, sheets, resumption."""
