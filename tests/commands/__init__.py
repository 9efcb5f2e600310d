"""The commands for people, projects and products."""
