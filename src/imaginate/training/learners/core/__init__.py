"""What learners share: networks with a head, cached features, heads in closed form."""
