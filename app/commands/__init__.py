"""Commands that run the service, ask it or measure its bundles, one file a subject; `app.cli` mounts them."""
