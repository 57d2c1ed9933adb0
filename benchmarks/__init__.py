"""Measurements of speed and memory, run by hand; never part of the tests."""
