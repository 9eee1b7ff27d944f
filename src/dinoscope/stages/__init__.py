"""Results that are computed from an opened collection and kept in it."""

__all__: list[str] = []
