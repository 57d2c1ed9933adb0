"""The HTTP surface: parses requests, asks the engine, writes answers. Computes nothing."""
