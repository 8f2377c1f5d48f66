"""What a network is told of a class: prompt texts, prompt sets, and the one way to name a class in a prompt."""
