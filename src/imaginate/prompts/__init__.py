"""What names a class to a network: prompt texts, prompt sets, and the one way to name a class in a prompt."""
