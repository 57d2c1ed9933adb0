"""The runtime: what turns prepared images into scores and maps. Knows nothing of HTTP or queues."""
