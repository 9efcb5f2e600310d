"""Tests of the ADQL engine."""
