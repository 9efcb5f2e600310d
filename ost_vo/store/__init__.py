"""The only place that executes SQL."""
