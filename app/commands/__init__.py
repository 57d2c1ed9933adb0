"""The commands around a running or a loaded service, one file a subject; `app.cli` mounts them."""
