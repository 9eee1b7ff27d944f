"""Make tests/data/vit: ``python -m tests.reference.make``.

A folder a case: ``header.json``, the header of the safetensors file that the library wrote, ``config.json``, if it
wrote one, and ``expected.npz``: ``cls56`` and ``patches56`` (every STRIDE-th) for images of 56 pixels, and so on; of
transformers also ``attention56``, to every STRIDE-th patch.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference.architectures import Case, load, read_header, save, tiny_cases
from tests.reference.common import DATA, STRIDE, pixels


def make(case: Case, folder: Path) -> Path:
    """Make the folder of a case; return the safetensors file, which stays outside."""
    file = save(case, folder.parent / f"{folder.name}.weights")
    folder.mkdir(parents=True)
    (folder / "header.json").write_bytes(read_header(file))
    config = file.with_name("config.json")
    if config.exists():
        shutil.copy(config, folder)
    features = load(case, file)
    stored: dict[str, Any] = {}
    for resolution in case.architecture.resolutions:
        found = features(pixels(resolution))
        stored |= {f"cls{resolution}": found["cls"], f"patches{resolution}": found["patches"][:, ::STRIDE]}
        if "attention" in found:
            stored[f"attention{resolution}"] = found["attention"][..., ::STRIDE]
    np.savez(folder / "expected.npz", **stored)
    return file


if __name__ == "__main__":
    shutil.rmtree(DATA, ignore_errors=True)
    for each in tiny_cases():
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / each.name
            make(each, made)
            shutil.copytree(made, DATA / each.name)
