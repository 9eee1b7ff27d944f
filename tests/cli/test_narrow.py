"""Every command in a terminal of 80 columns: no line is longer, nothing is cut off, and the next step is said."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

NAMES = [f"{number:08x}-82ab-4b99-a30a-c9c1f9d0c33d" for number in range(24)]
NEXT = "next: dinoscope "
COMMANDS: dict[str, tuple[Any, ...]] = {
    "map": ("c.dino", "--method", "pca"),
    "tune": ("c.dino", "--n-neighbors", 5, "--min-dist", "0,0.1", "--seeds", 1),
    "cluster": ("c.dino", "-k", 3, "--nulls"),
    "score": ("c.dino", "-k", 2),
    "explain": ("c.dino", "-k", 2),
    "search": ("c.dino", 3),
    "report": ("c.dino", "-k", 2),
    "receipt": ("c.dino",),
    "classify": ("c.dino", f"photos/hat/{NAMES[0]}.png"),
    "evaluate": ("c.dino",),
    "clean": ("c.dino",),
    "calibrate": ("c.dino", "--same", "none"),
    "compare": ("photos", "--models", "mini", "--sample", 12),
    "diff": ("c.dino", "c.dino"),
    "survey": ("c.dino", "-k", 2),
    "models": (),
    "info": ("c.dino",),
    "pick": ("c.dino", "-n", 3),
    "look": ("c.dino", 3),
    "embed": ("photos", "-o", "c.dino"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photographs of long names."""
    root = tmp_path_factory.mktemp("narrow")
    for number, name in enumerate(NAMES):
        path = root / "photos" / ("hat", "longsleeve")[number % 2] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (100, 120, 3), dtype=np.uint8)
        pixels[:, : 20 + 2 * number] = (200, 40, 40) if number % 2 else (40, 200, 40)
        Image.fromarray(pixels).save(path)
    return root


@pytest.fixture
def terminal(place, monkeypatch):
    monkeypatch.chdir(place)
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "dumb", "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)

    def sit_down():  # in the test: what is captured before it goes elsewhere
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)

    return sit_down


@pytest.mark.parametrize("command", ["embed", *(name for name in COMMANDS if name != "embed")])
def test_it_fits_and_says_the_next_step(run, terminal, place, command):
    if command != "embed" and not (place / "c.dino").exists():
        assert run("embed", "photos", "-o", "c.dino")[0] == 0
    terminal()
    code, out, err = run(command, *COMMANDS[command])
    assert code == 0, err
    text = out + err
    assert "…" not in text
    long = [line for line in text.splitlines() if len(line) > 80 and len(line.split()) > 1]
    assert long == []
    found = re.findall(r"0000[0-9a-f]{4}\S*", text)  # a name is whole wherever it begins
    assert [each for each in found if not re.match(r"\S{8}-82ab-4b99-a30a-c9c1f9d0c33d", each)] == []
    assert NEXT in err
    assert err[err.rindex(NEXT) :].count("\n") <= 2, "the next step is not the last thing said"
