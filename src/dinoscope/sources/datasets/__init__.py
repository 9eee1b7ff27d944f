"""Named data sets: their files, where they are kept, how they are fetched."""

__all__: list[str] = []
