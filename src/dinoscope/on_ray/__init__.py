"""The same work shared out by Ray, on this machine or on a cluster."""

__all__: list[str] = []
