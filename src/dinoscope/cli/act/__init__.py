"""Commands that do something with the images: pick some, move them, hand them on."""

__all__: list[str] = []
