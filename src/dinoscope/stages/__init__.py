"""What is computed of an opened collection, and kept in it."""

__all__: list[str] = []
