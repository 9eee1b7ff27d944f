"""The report: one HTML file."""

__all__: list[str] = []
