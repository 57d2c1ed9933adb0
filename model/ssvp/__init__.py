"""SSVP's trainable parts, one paper module a file, and their composition."""
