"""SSVP, the method: towers, heads, training, evaluation, bundles. Knows nothing of HTTP."""
