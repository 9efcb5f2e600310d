"""What astronomers call things in the sky, and where those are, without a network."""
