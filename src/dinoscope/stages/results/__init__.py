"""Results of stages: run once, stored, checked when they are read."""

__all__: list[str] = []
