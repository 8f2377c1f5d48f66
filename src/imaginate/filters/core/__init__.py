"""What filters share."""
