"""Tar and zip archives, read where they lie."""

__all__: list[str] = []
