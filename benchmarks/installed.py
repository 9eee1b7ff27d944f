"""What an environment weighs, by package: ``python benchmarks/installed.py``, with the environment's own Python.

Blocks on disk of the files that pip wrote, compiled ones included, without pip and setuptools themselves.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path

__all__ = ["main"]

_EVERYWHERE = {"pip", "setuptools"}
_BLOCK, _LEAST = 512, 10.0  # bytes of a block; megabytes of a package that is listed by itself


def _megabytes(package: Distribution) -> float:
    files = [Path(str(package.locate_file(file))) for file in package.files or []]
    return sum(file.stat().st_blocks * _BLOCK for file in files if file.exists()) / 1e6


def main() -> None:
    """Print the packages, the largest first."""
    weights = {each.name: _megabytes(each) for each in distributions() if each.name not in _EVERYWHERE}
    order = sorted(weights, key=lambda name: -weights[name])
    listed = [name for name in order if weights[name] >= _LEAST]
    rest = sum(weights.values()) - sum(weights[name] for name in listed)
    print("| package | MB |\n| --- | --- |")
    for name in listed:
        print(f"| {name} | {weights[name]:.0f} |")
    print(f"| {len(order) - len(listed)} others | {rest:.0f} |\n| all | {sum(weights.values()):.0f} |")


if __name__ == "__main__":
    main()
