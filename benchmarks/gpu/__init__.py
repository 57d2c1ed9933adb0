"""All there is to measure on a GPU; see `__main__.py`."""
