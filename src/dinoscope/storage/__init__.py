"""Files of a collection: complete or absent, checked when they are read, written by one process at a time."""

__all__: list[str] = []
