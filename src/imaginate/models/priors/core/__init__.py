"""What several prior families share: memory, schedulers, the one denoising path, text encoders, unCLIP decoders."""
