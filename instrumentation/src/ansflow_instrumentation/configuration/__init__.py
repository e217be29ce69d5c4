"""What the user can set: metric streams, limits, lists of instrumentations, and the configuration file."""
