"""From image bytes to a verdict: decoding, batching, regions, pictures. Knows no HTTP and no model."""
