"""What astronomers call things in the sky, and where those are: from packages, without a network."""
