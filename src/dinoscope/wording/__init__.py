"""Sentences that more than one of the command line, the report and the explorer say."""

__all__: list[str] = []
