"""A source of images embedded into a collection: resumable, incremental, calm about bad files."""

__all__: list[str] = []
