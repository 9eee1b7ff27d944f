"""From the name of a model to vectors of images."""

__all__: list[str] = []
