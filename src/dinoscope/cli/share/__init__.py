"""Commands that take a collection elsewhere, and check what arrived."""

__all__: list[str] = []
