"""Labels and tags by hand, proposals for the rest, and how many of these are right."""

__all__: list[str] = []
