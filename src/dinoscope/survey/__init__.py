"""Collections larger than memory: fitted to a sample, applied part by part."""

__all__: list[str] = []
