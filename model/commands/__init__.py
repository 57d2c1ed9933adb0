"""The commands that make models, one file a subject; `model.cli` mounts them."""
