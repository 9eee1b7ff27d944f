"""What every other package may use: argument checks, digests, threads, texts, vectors of length 1, this machine."""

__all__: list[str] = []
