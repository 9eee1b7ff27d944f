"""Labels and tags by hand, what dinoscope proposes for the rest, and how right that is."""

__all__: list[str] = []
