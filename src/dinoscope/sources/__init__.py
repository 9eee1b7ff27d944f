"""Where images come from, and a file decoded to pixels."""

__all__: list[str] = []
