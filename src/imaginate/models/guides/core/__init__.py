"""What several guides share: backbones, preprocessing, learning from seed images, kept embeddings, scores."""
