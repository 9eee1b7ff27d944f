"""What the explorer shows of a collection, without any web."""

__all__: list[str] = []
