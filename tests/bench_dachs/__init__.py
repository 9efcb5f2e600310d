"""A DaCHS for tests/bench_services.py, with frames of its own in a database of its own."""
