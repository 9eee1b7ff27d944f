"""Commands that clean a collection and name images."""

__all__: list[str] = []
