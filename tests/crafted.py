"""Crafted collections by the hundred, read in a process of its own: ``python -m tests.crafted COUNT SEED FOLDER``.

Each is a whole collection of which a few values were changed and the checksums written anew, as somebody would who
means harm, or a program that has a fault. Some of the commands that read are run on it, or the explorer is asked. It
prints how many of those runs succeeded and how many were refused, which ended in another error than a `DinoscopeError`,
how many took ten seconds, and the peak of its memory in MB.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import logging
import random
import shutil
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.cli import main as cli
from dinoscope.errors import DinoscopeError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.storage.checksums import MARK, blank, seal_json
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.tables import write_table
from tests.fuzzing import peak
from tests.patching import quicken
from tests.served import client

_SLOW, _ENDLESS = 10, 60  # seconds
_IMAGES = 40
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 10**6, 2**31, 2**63, -(2**63), 2**70, 0.0, -0.5, 0.5, 1e308, float("nan")),
    *(
        float("inf"),
        "",
        "x",
        "\x00",
        "../..",
        "/etc/passwd",
        "1",
        "x" * 100_000,
        "\x1b[2J",
        "<b>",
        [],
        {},
        [[]],
        [None],
    ),
    *({"array": "x"}, {"same": ""}, ["x"], [1, 2], {"x": 1}, "duplicates"),
)
_TYPES = (pa.string(), pa.binary(), pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.list_(pa.int64()))


def make(folder: Path) -> Path:
    """Make a collection of small images in two splits, one of them unreadable, with results of every stage."""
    dataset, path = load_dataset("fashion-mnist-test"), folder / "c.dino"
    for at in range(_IMAGES):
        place = folder / "images" / ("test" if at % 4 == 0 else "train") / (dataset.items[at].label or "none")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dataset.pixels[at]).save(place / f"{at}.png")
    shutil.copy(place / f"{at}.png", place / "copy.png")
    shutil.copy(place / f"{at}.png", folder / "query.png")
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnone")
    made = Collection.from_images(folder / "images", path, model="mini")
    made.dismiss(made.findings().keys["duplicates"][0])
    made.answer_question((int(made.rows[0]), int(made.rows[1])), False)
    made.answer_question((int(made.rows[0]),), True, "dark")
    made.clusters(5)
    made.map(method="pca", dims=3)
    for name, run in runs(path, folder / "out"):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert run() == "succeeded", name
    shutil.rmtree(folder / "taken")
    return path


def runs(path: Path, out: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name and the call of everything that reads a collection; each returns "succeeded" or "refused"."""
    out.mkdir(exist_ok=True)
    picture = out.parent / "query.png"
    for line in (
        *("info", "info --json", "info --verify", "score", "explain", "classify PICTURE", "search 3 --json"),
        *("map --method pca -o OUT/map.csv", "map -o OUT/map.png", "cluster -k 5 --json", "cluster --nulls"),
        *("evaluate", "clean -o OUT/findings --write-plan OUT/plan.json", "calibrate", "receipt -o OUT/receipt.json"),
        *("calibrate --kind dark", "calibrate --kind dark --yes none", "clean --pictures"),
        *("report -o OUT/report.html", "map --images -o OUT/images.png"),
    ):
        command, *rest = line.replace("OUT", str(out)).replace("PICTURE", str(picture)).split()
        yield line, lambda command=command, rest=rest: _command(command, str(path), *rest)
    whole = out.parent / "whole.dino"
    if whole.exists():
        yield "diff", lambda: _command("diff", str(whole), str(path))
    yield "explore", lambda: _explore(path)


def _command(*args: str) -> str:
    sys.argv = ["dinoscope", *args]
    try:
        cli.main()
    except SystemExit as ended:
        return "refused" if ended.code else "succeeded"
    return "succeeded"


def _explore(path: Path) -> str:
    """Ask the explorer for everything that its page shows; an unexpected error goes through the test client."""
    try:
        server = client(path, raising=True)
    except DinoscopeError:
        return "refused"
    with server:
        told = server.get("/api/collection")
        if told.status_code != 200:
            return "refused"
        codes, base = set(), f"/api/models/{told.json()['model']}"
        for info in told.json()["models"]:
            view = server.get(f"/api/models/{info['key']}")
            codes.add(view.status_code)
        columns = [each["name"] for each in view.json()["columns"]] if view.status_code == 200 else []
        gets = [f"columns/{name}" for name in columns if name != "trust"]
        gets += [
            "rows",
            "maps/pca",
            "maps/umap",
            "maps/umap/trust",
            "maps/umap/numbers",
            "findings",
            "questions?about=duplicates",
            "questions?about=blurred",
            "sheets/0",
        ]
        gets += ["images/3", "images/3/picture", "find?text=png"]
        codes |= {server.get(f"{base}/{each}").status_code for each in gets}
        codes.add(server.get("/api/progress").status_code)
        codes.add(server.post(f"{base}/query", json={"rows": [1, 2], "k": 5}).status_code)
        for form in ("csv", "files", "collection"):
            asked = {"rows": [1, 2, 3], "format": form, "name": "taken"}
            codes.add(server.post(f"{base}/export", json=asked).status_code)
    return "succeeded" if codes <= {200} else "refused"


def craft(path: Path, chance: random.Random) -> str:
    """Change a few values of a collection's files and write their checksums anew; return what was done."""
    skipped = ("progress.json", ".lock-holder.json")
    files = sorted(each for each in path.rglob("*") if each.suffix in (".json", ".parquet", ".webp"))
    core = [each for each in files if "results" not in each.relative_to(path).parts and each.name not in skipped]
    done = []
    for _ in range(chance.choice((1, 1, 2))):
        file = chance.choice(chance.choice((core, files)))
        how = {".json": _craft_json, ".parquet": _craft_table, ".webp": _craft_sheet}[file.suffix](file, chance)
        done.append(f"{file.relative_to(path)}: {how}")
        if file.name == "images.parquet":
            shutil.copy(file, path / "images.parquet.bak")
    return "; ".join(done)


def _craft_json(file: Path, chance: random.Random) -> str:
    if chance.random() < 0.03:
        deep = b"[" * 100_000 + b"]" * 100_000
        file.write_bytes(seal_json(b'{"keys": %s, "%s": "%s"}' % (deep, MARK.encode(), blank(1).encode())))
        return "nested deep"
    value, how = _changed(read_json(file), chance)
    write_json(file, value, checked=isinstance(value, dict))
    return how


def _changed(value: Any, chance: random.Random, path: str = "") -> tuple[Any, str]:
    """Return a JSON value with one of its parts replaced, removed or doubled."""
    if isinstance(value, dict | list) and value and chance.random() < 0.85:
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        copy = value.copy()
        kind = chance.randrange(8)
        if kind == 0:
            del copy[key]
            return copy, f"{path}/{key} removed"
        if kind == 1 and isinstance(copy, list):
            return copy * 2, f"{path} doubled"
        copy[key], how = _changed(copy[key], chance, f"{path}/{key}")
        return copy, how
    odd = chance.choice(_ODD)
    return odd, f"{path} = {repr(odd)[:60] if not isinstance(odd, list) else 'list'}"


def _craft_table(file: Path, chance: random.Random) -> str:
    table = pq.read_table(file)
    meta = json.loads((table.schema.metadata or {}).get(b"dinoscope", b"{}"))
    columns, how = {name: table.column(name) for name in table.column_names}, ""
    if not columns or chance.random() < (0.5 if "results" in file.parts else 0.05):
        meta, how = _changed(meta, chance)
    elif chance.random() < 0.25:
        rows = np.arange(table.num_rows)
        kind = chance.choice(("none", "half", "twice", "reversed", "first again"))
        many = {"none": rows[:0], "half": rows[: len(rows) // 2], "twice": np.tile(rows, 2), "reversed": rows[::-1]}
        chosen = many.get(kind, np.append(rows, rows[:1]))
        columns, how = {name: column.take(pa.array(chosen)) for name, column in columns.items()}, f"rows {kind}"
    else:
        name = chance.choice(list(columns))
        columns[name], how = _craft_column(columns[name].combine_chunks(), chance)
        how = f"{name} {how}"
        if columns[name] is None:
            del columns[name]
    write_table(file, columns, meta)
    return how


def _craft_column(column: Any, chance: random.Random) -> tuple[Any, str]:
    kind = chance.randrange(4)
    if kind == 0:
        return None, "removed"
    if kind == 1:
        wanted = chance.choice(_TYPES)
        values = [None] * len(column)
        with contextlib.suppress(pa.ArrowException, ValueError, TypeError, OverflowError):
            return column.cast(wanted), f"as {wanted}"
        return pa.array(values, wanted), f"nulls of {wanted}"
    if pa.types.is_fixed_size_list(column.type):
        flat, size = column.values.to_numpy(zero_copy_only=False).copy(), column.type.list_size
        at = chance.randrange(len(flat)) if len(flat) else 0
        if kind == 2:
            width = chance.choice((1, max(1, size // 2)))
            return pa.FixedSizeListArray.from_arrays(pa.array(flat[: len(column) * width]), width), f"of length {width}"
        odd: Any = chance.choice(
            (-1, 0, 10**6, 127) if flat.dtype.kind in "iu" else (np.nan, np.inf, 0.0, 1e30, -1.0, 1e-30)
        )
        if chance.random() < 0.5:
            flat[:] = odd
        else:
            flat[at : at + 1] = odd
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), size), f"numbers {odd}"
    values = column.to_pylist()
    if not values:
        return column, "as it was"
    places = range(len(values)) if chance.random() < 0.5 else [chance.randrange(len(values))]
    texts: tuple[Any, ...] = ("", "x" * 100_000, "\x00", "../../x", None, "nan", "\x1b[2J", values[0])
    odd = chance.choice(
        {
            "int": (-1, 0, 1, 10**6, 2**31 - 1, 2**62, None, values[0]),
            "float": (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, None),
            "bool": (True, False, None),
            "binary": (b"", b"\x89PNG", b"%!PS-Adobe-3.0 EPSF-3.0\n", None, values[0]),
        }.get(str(column.type).rstrip("0123456789"), texts)
    )
    for at in places:
        values[at] = odd
    with contextlib.suppress(pa.ArrowException, OverflowError):
        return pa.array(values, column.type), f"values {str(odd)[:30]!r}"
    return pa.array([str(each) for each in values]), f"values {str(odd)[:30]!r} as texts"


def _craft_sheet(file: Path, chance: random.Random) -> str:
    out = io.BytesIO()
    Image.new("RGB", chance.choice(((1, 1), (4000, 4000)))).save(out, "WEBP")
    file.write_bytes(chance.choice((b"", b"RIFF", out.getvalue())))
    return "another picture"


def main(count: int, seed: int, folder: Path) -> None:
    """Read so many crafted collections."""
    warnings.simplefilter("ignore")
    logging.getLogger("dinoscope").setLevel(logging.CRITICAL)
    quicken(pytest.MonkeyPatch())
    whole = folder / "whole.dino"
    if not whole.exists():
        shutil.move(make(folder), whole)
    path, outcome, slow, faults = folder / "c.dino", Counter[str](), 0, []
    for number in range(seed, seed + count):
        chance = random.Random(number)
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(whole, path)
        done = craft(path, chance)
        every = list(runs(path, folder / "out"))
        chosen = chance.sample(every, _RUNS)
        for name, run in chosen if chance.random() < 0.2 else [each for each in chosen if "report" not in each[0]]:
            shutil.rmtree(folder / "taken", ignore_errors=True)
            faulthandler.dump_traceback_later(_ENDLESS, exit=True)
            began = time.monotonic()
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    outcome[run()] += 1
            except Exception as error:  # what this looks for
                where = traceback.extract_tb(error.__traceback__)
                at = [f"{Path(each.filename).name}:{each.lineno}" for each in where if "dinoscope/" in each.filename]
                faults.append(f"{number} {name}: {type(error).__name__}: {str(error)[:120]} at {at[-3:]} after {done}")
                print(faults[-1], file=sys.__stderr__, flush=True)
            faulthandler.cancel_dump_traceback_later()
            slow += time.monotonic() - began > _SLOW
    print(json.dumps({**outcome, "faults": faults, "slow": slow, "megabytes": peak()}))  # noqa: T201


_RUNS = 3  # of the ways to read a collection, drawn for each

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
