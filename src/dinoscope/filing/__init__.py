"""Files put where a person wants them: planned, written down first, done, and undone."""

__all__: list[str] = []
