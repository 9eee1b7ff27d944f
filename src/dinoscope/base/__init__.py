"""Shared by all other packages: argument checks, digests, threads, texts, unit vectors, this machine."""

__all__: list[str] = []
