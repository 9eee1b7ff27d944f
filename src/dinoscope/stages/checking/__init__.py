"""Whether a collection is whole, and what made it."""

__all__: list[str] = []
