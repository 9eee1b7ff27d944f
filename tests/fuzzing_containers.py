"""Archives and tables with whole frames and hostile contents: names, links, sizes that lie, bombs, deep JSON.

``hostile`` writes one of them, drawn by its number, into a folder, and says what it is. Every other one is damaged
besides, byte by byte.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.fuzzing import mutated
from tests.pictures import bare_png, encoded

__all__ = ["KINDS", "hostile"]

_NAMES = (
    *("../outside.png", "/outside.png", "../../../etc/passwd", "a/../../outside.png", "C:\\outside.png"),
    *("nul\x00.png", "x" * 300 + ".png", "/".join("d" * 400) + "/1.png", "line\nbreak.png", "\x1b[2J.png", ".png", "."),
    *("", "a/", "caf\udce9.png", "\u202egnp.exe.png", "con.png", "train/0.png", "train/0.png/1.png", "-o.png"),
    *("metadata.csv", "metadata.jsonl", "metadata.parquet", "http://127.0.0.1:9/1.png", "file:///outside.png", "0.cls"),
)
_TEXTS = (
    *("", " ", "\x00", "nan", "=cmd|' /C calc'!A0", "x" * 3_000_000, "\x1b]0;x\x07", "\ufeff", "\ud800", "a\nb", '"'),
    *("-1", "9" * 5000, "None", "[" * 60_000, '{"label": ' * 20_000, "\u0000\uffff", "../../outside.png", "train"),
)
_NUMBERS = (-1, 0, 1, 255, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1)
_DAMAGED_BYTES = 20_000_000  # at most: larger ones take long to copy
_DEEP = "[" * 60_000 + "]" * 60_000
_JSONS = (
    *(_DEEP, '{"label": ' + _DEEP + "}", '{"label": ' + "9" * 6000 + "}", '{"label": NaN}', '{"label": {"a": [1]}}'),
    *('{"label": "\\ud800"}', '{"label": "\\u0000"}', '{"caption": 7}', '{"cls": true}', '{"label": 1e999}', "{", "[]"),
    *(
        '{"file_name": "../outside.png", "label": "x"}',
        '{"file_name": "0.png", "label": [1, "a"]}',
        '{"": 1, "a.b": 2}',
    ),
)


@cache
def _contents() -> tuple[bytes, ...]:
    """Return what may be in a place for a picture: pictures, and what only begins like one."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    whole = tuple(encoded(rgb, form) for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"))
    vast = (bare_png(60_000, 60_000, zlib.compress(bytes(1 << 20))), bare_png(2**31 - 1, 2**31 - 1, b""))
    bombs = (encoded(rgb, "BMP") + bytes(90_000_000), bytes(150_000_000), encoded(rgb, "TIFF") + bytes(280_000_000))
    others = (b"", b"\x00" * 600, b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", b"PK\x03\x04" * 40, b"\x89PNG\r\n\x1a\n")
    return (*whole * 4, *vast, *bombs, *others, *others)


def _content(chance: random.Random) -> bytes:
    drawn = chance.choice(_contents())
    return mutated(drawn, chance) if 0 < len(drawn) < 100_000 and chance.random() < 0.3 else drawn


def _small(chance: random.Random) -> bytes:
    return chance.choice([each for each in _contents() if len(each) < 100_000])


def _pictures(count: int, chance: random.Random) -> list[bytes]:
    """Draw so many, one bomb among them at most."""
    found = [_small(chance) for _ in range(count)]
    if count and chance.random() < 0.5:
        found[chance.randrange(count)] = _content(chance)
    return found


def _named(chance: random.Random) -> str:
    return chance.choice((*_NAMES, *(f"{chance.choice('ab')}/{number}.png" for number in range(len(_NAMES)))))


def _text(chance: random.Random) -> str:
    return chance.choice((*_TEXTS, *_JSONS, *["cat", "dog"] * 4))


def _tar(path: Path, chance: random.Random) -> None:
    """Links, devices, sparse files, sizes and times that no file has, headers of headers."""
    forms = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)
    links = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.CONTTYPE)
    heads = (tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, b"\x00", b"Z")
    kinds = (*links, *heads)
    with tarfile.open(path, "w", format=chance.choice(forms), errors="surrogateescape") as archive:
        for _ in range(chance.choice((1, 3, 12))):
            info, content = tarfile.TarInfo(_named(chance)), _small(chance)
            info.size = len(content)
            if chance.random() < 0.4:
                info.type, info.linkname = chance.choice(kinds), chance.choice((*_NAMES, info.name))
            if chance.random() < 0.2:
                keys = ("size", "path", "mtime", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.major", "hdrcharset")
                info.pax_headers = {
                    chance.choice(keys): chance.choice((*map(str, _NUMBERS), "nan", "../x.png", "1,2,3"))
                }
            try:
                archive.addfile(info, io.BytesIO(content))
            except (ValueError, tarfile.TarError, UnicodeError):  # this form has no room for it
                continue
        if chance.random() < 0.1:
            for number in range(20_000):
                archive.addfile(tarfile.TarInfo(f"{number}.png"))
    if chance.random() < 0.4:  # a header whose checksum is right and whose size is not
        whole = bytearray(path.read_bytes())
        at = 512 * chance.randrange(len(whole) // 512)
        size = chance.choice(_NUMBERS)
        whole[at + 124 : at + 136] = b"\x80" + (size % 2**88).to_bytes(11, "big")
        whole[at + 148 : at + 156] = b" " * 8
        whole[at + 148 : at + 156] = b"%06o\0 " % sum(whole[at : at + 512])
        path.write_bytes(whole)


def _shards(path: Path, chance: random.Random) -> None:
    """Samples as WebDataset has them, with labels of every kind beside the pictures."""
    with tarfile.open(path, "w") as archive:
        for number in range(chance.choice((2, 8))):
            members = {".png": _small(chance)}
            for _ in range(chance.choice((1, 2, 3))):
                ending = chance.choice((".cls", ".json", ".txt", ".left.json", ".cls.json", ".png", ".jpg"))
                members[ending] = _text(chance).encode("utf-8", "surrogatepass")
            for ending, content in members.items():
                info = tarfile.TarInfo(f"{chance.choice((number, number, 'a.b'))}{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def _zip(path: Path, chance: random.Random) -> None:
    """Bombs, links, flags, methods, sizes and offsets that lie, entries that share their bytes."""
    with zipfile.ZipFile(path, "w", chance.choice((0, 8, 12, 14)), compresslevel=1) as archive:
        for _ in range(chance.choice((1, 3, 12))):
            info = zipfile.ZipInfo(_named(chance).replace("\udce9", "e") or "e.png")
            info.compress_type = chance.choice((0, 8, 8, 8, 12, 14))
            info.external_attr = chance.choice((0, 0o120777 << 16, 0o100644 << 16, 0xFFFFFFFF))
            info.create_system = chance.choice((0, 3, 255))
            archive.writestr(info, chance.choice((_content(chance), _text(chance).encode("utf-8", "replace"))))
        if chance.random() < 0.1:
            for number in range(20_000):
                archive.writestr(f"{number}.png", b"")
    if chance.random() < 0.6:
        whole = bytearray(path.read_bytes())
        entries = [found.start() for found in re.finditer(b"PK\x01\x02.{42}", whole, re.DOTALL)]
        for at in chance.sample(entries, min(len(entries), 3)):
            # flags, method, checksum, packed size, size, lengths of name, extra and remark, offset
            place, width = chance.choice(((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)))
            lie = chance.choice(_NUMBERS) % 2 ** (8 * width)
            whole[at + place : at + place + width] = lie.to_bytes(width, "little")
        path.write_bytes(whole)


def _cells(path: Path, chance: random.Random) -> None:
    """CSV and TSV: cells of any size and kind, rows of other lengths, quotes that never end, other encodings."""
    heads = (["file_name", "label"], ["path", "label", "split"], ["", ""], ["a", "a"])
    rows: list[list[str]] = [chance.choice(heads)]
    if chance.random() < 0.1:
        rows = [[f"c{number}" for number in range(20_000)]]
    for number in range(chance.choice((0, 2, 30))):
        width = len(rows[0]) if chance.random() < 0.9 else chance.randrange(5)
        rows.append([chance.choice((f"{number}.png", _named(chance), _text(chance))) for _ in range(min(width, 4))])
        rows[-1] += [""] * (width - len(rows[-1]))
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if path.suffix == ".tsv" else chance.choice(",,;")).writerows(rows)
    coding = chance.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    whole = text.getvalue().encode(coding, "replace" if coding != "utf-8" else "surrogatepass")
    path.write_bytes(whole + chance.choice((b"", b"", b'"', b"\x00\x00", b'0.png,"' + b"x" * 10)))


def _lines(path: Path, chance: random.Random) -> None:
    """Lines of JSON: deep, huge, of other types from line to line."""
    lines = []
    for number in range(chance.choice((1, 3, 30))):
        held: dict[str, Any] = {"file_name": chance.choice((f"{number}.png", _named(chance), number, None, ["0.png"]))}
        held["label"] = chance.choice((_text(chance), number, number, 1.5, 10**400, ["a", 1], {}, None))
        lines.append(chance.choice((json.dumps(held), json.dumps(held), json.dumps(held), chance.choice(_JSONS))))
    path.write_text("\n".join(lines), "utf-8", "surrogatepass")


def _column(count: int, chance: random.Random) -> pa.Array:
    """Make a column of pictures, paths, labels or anything else that a file can hold."""
    structs = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    texts = [_text(chance).encode("utf-8", "replace").decode() for _ in range(count)]
    paths = [_named(chance).encode("utf-8", "replace").decode() for _ in range(count)]
    ways: tuple[Callable[[], pa.Array], ...] = (
        lambda: pa.array(_pictures(count, chance), pa.large_binary()),
        lambda: pa.array([_small(chance) for _ in range(count)], pa.binary()),
        lambda: pa.array([_small(chance) for _ in range(count)], pa.binary()),
        lambda: pa.array([{"bytes": _small(chance), "path": chance.choice(paths)} for _ in range(count)], structs),
        lambda: pa.array([{"bytes": None, "path": path} for path in paths], structs),
        lambda: pa.array(paths),
        lambda: pa.array(texts),
        lambda: pa.array(texts).dictionary_encode(),
        lambda: pa.array([texts] * count),
        lambda: pa.array([chance.choice(_NUMBERS) for _ in range(count)], pa.int64()),
        lambda: pa.array([chance.choice((0.0, 1.5, float("nan"), float("inf"), None)) for _ in range(count)]),
        lambda: pa.nulls(count, chance.choice((pa.null(), pa.binary(), pa.string(), structs, pa.list_(pa.string())))),
        lambda: pa.array([[(text, 1)] for text in texts], pa.map_(pa.string(), pa.int64())),
        lambda: pa.array([number % 2 for number in range(count)]),
        lambda: pa.array([bytes(16)] * count, pa.binary(16)),
        lambda: pa.array([number * 86_400 for number in range(count)], pa.timestamp("s")),
    )
    return chance.choice(ways)()


def _table(chance: random.Random) -> pa.Table:
    count = chance.choice((0, 1, 4, 20))
    others = ("label", "split", "a.b", "", "\x00", "image.bytes", "caption", "path", "none")
    names = ["image", *chance.sample(others, 3)]
    columns = [_column(count, chance) for _ in names]
    if chance.random() < 0.6:
        columns[0] = pa.array(_pictures(count, chance), pa.large_binary())
    classes: Any = chance.choice((["a"], ["a"] * 200_000, [[]], "ab", 7, {}, [None, {}]))
    label = chance.choice(({"_type": "ClassLabel", "names": classes}, {"feature": {"names": classes}}, None, "x"))
    features: Any = chance.choice(({"label": label}, {"label": label}, {"image": {"_type": "Image"}}, None, [], "x"))
    meta = chance.choice((json.dumps({"info": {"features": features}}), '{"info": ' + _DEEP + "}", "{", "\x00"))
    return pa.table(columns, names=names).replace_schema_metadata({"huggingface": meta})


def _parquet(path: Path, chance: random.Random) -> None:
    """Columns of every type, bombs under every packing, descriptions of Hugging Face's that are none."""
    options: dict[str, Any] = {"compression": chance.choice(("none", "snappy", "gzip", "zstd", "brotli", "lz4"))}
    options |= {"row_group_size": chance.choice((1, 3, 1000)), "use_dictionary": chance.random() < 0.5}
    pq.write_table(_table(chance), path, data_page_version=chance.choice(("1.0", "2.0")), **options)


def _arrow(path: Path, chance: random.Random) -> None:
    """Both of Arrow's formats, packed or not, and what Hugging Face writes beside them."""
    table, packing = _table(chance), chance.choice((None, None, None, "zstd", "lz4"))
    make = pa.ipc.new_stream if chance.random() < 0.7 else pa.ipc.new_file
    with make(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression=packing)) as out:
        out.write_table(table, chance.choice((1, 3, 1000)))
    if chance.random() < 0.5:
        held = chance.choice((path.name, "../outside.arrow", "/etc/passwd", "", None, 7, path.name + "\x00"))
        files = chance.choice(([{"filename": held}], [held], held))
        path.with_name("state.json").write_text(json.dumps({"_data_files": files}))
        path.with_name("dataset_info.json").write_text(chance.choice(_JSONS), "utf-8", "surrogatepass")


def _arrays(path: Path, chance: random.Random) -> None:
    """NumPy's archives: sizes that lie, pickles, bombs, arrays that are no images."""
    shapes = ((2, 8, 6), (2, 8, 6, 3), (0,), (3,), (1, 1, 1, 1, 1))
    array = np.zeros(chance.choice(shapes), chance.choice(("u1", "f4", "i8", "c8", "U3", "M8[s]", "?")))
    held: dict[str, Any] = {chance.choice(("images", "images", "x")): array}
    if chance.random() < 0.5:
        held["labels"] = np.array(chance.choice(([None, {}], ["a", "b"], [1.5, np.nan], [[1], [2]])), dtype=object)
    chance.choice((np.savez, np.savez_compressed))(path, **held)
    if chance.random() < 0.4:
        head = io.BytesIO()
        shape = chance.choice(((2**40, 8, 6), (-1, 8, 6), (2, 2**31, 2**31), (0, 2**62, 4), *[(40_000, 200, 200)] * 4))
        np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", head.getvalue() + bytes(100))
        if shape[0] == 40_000:
            path.write_bytes(_vast_array(head.getvalue()))


@cache
def _vast_array(head: bytes) -> bytes:
    """Return an archive of a few MB with an array of 1.6 GB."""
    whole = io.BytesIO()
    packing = zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packing as archive, archive.open("images.npy", "w", force_zip64=True) as file:
        file.write(head)
        for _ in range(160):
            file.write(bytes(10_000_000))
    return whole.getvalue()


def _metadata(path: Path, chance: random.Random) -> None:
    """A folder or an archive of pictures with a hostile table beside them."""
    name = chance.choice(("metadata.csv", "metadata.jsonl", "metadata.parquet"))
    make = {".csv": _cells, ".jsonl": _lines, ".parquet": _parquet}[Path(name).suffix]
    beside = path if path.suffix == "" else path.with_suffix(".parts")
    beside.mkdir()
    make(beside / name, chance)
    for number in range(4):
        (beside / f"{number}.png").write_bytes(_small(chance))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(beside.iterdir()):
                archive.write(each, each.name)


KINDS: dict[str, tuple[str, Callable[[Path, random.Random], None]]] = {
    **{"tar": ("a.tar", _tar), "WebDataset": ("a.tar", _shards), "zip": ("a.zip", _zip)},
    **{"csv": ("a.csv", _cells), "tsv": ("a.tsv", _cells), "jsonl": ("a.jsonl", _lines), "npz": ("a.npz", _arrays)},
    **{"parquet": ("a.parquet", _parquet), "arrow": ("a.arrow", _arrow)},
    **{"metadata of a folder": ("a", _metadata), "metadata of an archive": ("a.zip", _metadata)},
}


def hostile(folder: Path, number: int) -> tuple[str, Path]:
    """Write the file or folder of this number into an empty folder; return its kind and where it is."""
    chance, kind = random.Random(number), list(KINDS)[number % len(KINDS)]
    name, make = KINDS[kind]
    path = folder / name
    make(path, chance)
    if (number // len(KINDS)) % 2 and path.is_file() and 0 < path.stat().st_size < _DAMAGED_BYTES:
        whole = path.read_bytes()
        head, tail = whole[: -(1 << 12)], whole[-(1 << 12) :]  # the lists of contents stand at the end of most of them
        path.write_bytes(chance.choice((lambda: mutated(whole, chance), lambda: head + mutated(tail, chance)))())
        kind += ", damaged"
    return kind, path.parent if kind.startswith("arrow") and chance.random() < 0.5 else path
