"""Compare dinoscope's models with those of transformers and timm: ``python -m tests.reference.parity [--large]``.

First every architecture at tiny size, with what is stored in tests/data/vit, then at real size. ``--large`` compares
the largest, with all their blocks, instead: 14 GB of memory, 5 of disk. Exit code 1 if any two differ.
"""

import gc
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from dinoscope.models.checkpoint import read_checkpoint
from dinoscope.models.safetensors import read_tensors
from tests.reference.architectures import Case, load, real_cases, save, tiny_cases
from tests.reference.common import ATTENTION, COSINE, DATA, DIFFERENCE, antialiased, cosine, pixels, run
from tests.reference.make import make


def compare(case: Case, file: Path, images: int) -> bool:
    """Compare ours with the library's own, for every resolution; print a row each."""
    shape, same = case.architecture, True
    features = load(case, file)
    expected = {resolution: features(pixels(resolution, images)) for resolution in shape.resolutions}
    del features
    gc.collect()
    checkpoint = read_checkpoint(file)
    if case.naming != "transformers" and checkpoint.geometry.grid:
        checkpoint = antialiased(checkpoint)
    for resolution, theirs in expected.items():
        ours = run(checkpoint, pixels(resolution, images))
        cls, patches = (cosine(ours[name], theirs[name]) for name in ("cls", "patches"))
        difference = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ("cls", "patches"))
        seen = float(np.abs(ours["attention"] - theirs["attention"]).max()) if "attention" in theirs else 0.0
        passed = min(cls, patches) >= COSINE and difference <= DIFFERENCE and seen <= ATTENTION
        same &= passed
        told = f"{seen:.1e}" if "attention" in theirs else "not given"
        naming = case.naming if case.kind == "F32" else f"{case.naming} {case.kind}"
        _print(shape.name, naming, resolution, f"{cls:.8f}", f"{patches:.8f}", f"{difference:.1e}", told, _word(passed))
    return same


def compare_stored(case: Case, folder: Path) -> bool:
    """Tell whether what is stored for the tests is what is made now, up to rounding on another processor."""
    stored = DATA / case.name
    names = {each.name for where in (folder, stored) if where.is_dir() for each in where.iterdir()}
    differing = [name for name in sorted(names) if not _alike(stored / name, folder / name)]
    if differing:
        sys.stdout.write(f"tests/data/vit/{case.name} is not what tests.reference.make makes: {', '.join(differing)}\n")
    return not differing


def compare_values(file: Path) -> bool:
    """Tell whether we read of a file what the safetensors package reads."""
    theirs = {name: each.float().numpy() for name, each in load_file(file).items()}
    ours = {name: each.read() for name, each in read_tensors(file).items()}
    same = ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    if not same:
        sys.stdout.write(f"{file.parent.name}: the safetensors package reads something else\n")
    return same


def main() -> int:
    """Compare everything."""
    large, same, began = "--large" in sys.argv, True, time.monotonic()
    _print("architecture", "naming", "resolution", "CLS", "patches", "difference", "attention", "")
    with tempfile.TemporaryDirectory() as scratch:
        for case in [] if large else tiny_cases():
            folder = Path(scratch) / case.name
            file = make(case, folder)
            same &= compare_stored(case, folder) & compare_values(file) & compare(case, file, images=2)
    for case in real_cases(large=large):
        with tempfile.TemporaryDirectory() as scratch:
            same &= compare(case, save(case, Path(scratch)), images=1)
    sys.stdout.write(
        f"least cosine of a token (at least {COSINE}), largest difference of a value (at most {DIFFERENCE}) "
        f"and of the last block's attention to a patch (at most {ATTENTION}, transformers with eager attention): "
        f"{_word(same)}, {time.monotonic() - began:.0f} s\n"
    )
    return 0 if same else 1


def _word(same: bool) -> str:
    return "same" if same else "DIFFERENT"


def _alike(one: Path, other: Path) -> bool:
    if not (one.exists() and other.exists()):
        return False
    if one.suffix != ".npz":
        return one.read_bytes() == other.read_bytes()
    with np.load(one) as a, np.load(other) as b:
        return set(a) == set(b) and all(np.allclose(a[key], b[key], atol=1e-4) for key in a)


def _print(*columns: object) -> None:
    widths = (28, 17, 10, 11, 11, 10, 9, 0)
    sys.stdout.write("  ".join(str(each).ljust(width) for each, width in zip(columns, widths, strict=True)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
