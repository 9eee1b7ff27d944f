"""The explorer's HTTP server: thin routes."""

__all__: list[str] = []
