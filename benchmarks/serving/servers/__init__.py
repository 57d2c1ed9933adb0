"""One small file for each peer: the same work as this service, the peer's own way of serving it."""
