"""Functions over arrays: no file, no model, no web."""

__all__: list[str] = []
