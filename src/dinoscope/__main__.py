"""``python -m dinoscope``: the command line."""

from dinoscope.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
