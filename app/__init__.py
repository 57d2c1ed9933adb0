"""The inspection service: HTTP, queue, runtime."""
