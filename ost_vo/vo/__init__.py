"""Virtual Observatory formats and languages: pure functions, no input/output, no framework."""
