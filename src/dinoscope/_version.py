"""The version: the one place that states it. hatch reads it from here, so the file imports nothing."""

__all__ = ["__version__"]

__version__ = "0.1.0"
