"""What expansion methods share."""
