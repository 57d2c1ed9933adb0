"""Published weights: found, read in whatever format people have them, and fitted to our towers."""
