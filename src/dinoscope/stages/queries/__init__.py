"""Questions about one image: what it looks like, why, and what it looks like in part."""

__all__: list[str] = []
