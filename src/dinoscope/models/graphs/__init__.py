"""Graphs of models: built of weights, read from somebody's file, and tried before they are trusted."""

__all__: list[str] = []
