"""What decoding is made of: which files are pictures, what their values mean, which colours they name."""

__all__: list[str] = []
