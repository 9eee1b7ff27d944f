"""A collection written for other tools: folders, annotations, shards and tables."""

__all__: list[str] = []
