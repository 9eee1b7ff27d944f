"""What a notebook shows: a collection as a card, results with their pictures, the explorer in a cell."""

__all__: list[str] = []
