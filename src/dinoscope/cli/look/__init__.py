"""Commands that show a collection: as a map, as groups, as look-alikes, in the browser."""

__all__: list[str] = []
