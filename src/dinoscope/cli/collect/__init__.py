"""Commands that bring images into a collection, and choose the model that does it."""

__all__: list[str] = []
