"""Whether a collection is complete, and what made it."""

__all__: list[str] = []
