"""CIFAR-10: batches as Python 2 pickled them, read without running them; the archive found, fetched, gone on with."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import re
import struct
import tarfile
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dinoscope.errors import DownloadError, SourceError
from dinoscope.sources.datasets import download
from dinoscope.sources.datasets import files as dataset_files
from dinoscope.sources.datasets import named as datasets
from dinoscope.sources.datasets.files import BATCHES, parse_batch
from dinoscope.sources.datasets.named import DATASETS, load_dataset
from tests.sources.datasets.test_datasets import empty, mirror, send, whole  # noqa: F401  fixtures

ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
IMAGES = 20  # a batch


def text(value: bytes) -> bytes:
    """Pickle a string as Python 2 does."""
    if len(value) < 256:
        return b"U" + struct.pack("<B", len(value)) + value
    return b"T" + struct.pack("<i", len(value)) + value


def batch_file(
    rows: bytes,
    labels: Sequence[int],
    *,
    dtype: bytes = b"u1",
    shape: tuple[int, int] | None = None,
    by_column: bool = False,
) -> bytes:
    """Pickle a batch as cPickle of Python 2 and the NumPy of its time do, with protocol 2."""
    high, wide = shape or (len(labels), 3072)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85U\x01b\x87Rq\x08"
        + b"(K\x01"
        + b"".join(b"J" + struct.pack("<i", size) for size in (high, wide))
        + b"\x86"
        + b"cnumpy\ndtype\nq\x09"
        + text(dtype)
        + b"K\x00K\x01\x87Rq\x0a"
        + b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + (b"\x88" if by_column else b"\x89")
        + text(rows)
        + b"tb"
    )
    numbers = b"]q\x05(" + b"".join(b"K" + struct.pack("<B", label) for label in labels) + b"e"
    names = b"]q\x0b(" + b"".join(text(b"frog_s_%06d.png" % row) for row in range(len(labels))) + b"e"
    pairs = (
        (b"batch_label", text(b"training batch 1 of 5") + b"q\x03"),
        (b"labels", numbers),
        (b"data", array),
        (b"filenames", names),
    )
    return b"\x80\x02}q\x01(" + b"".join(text(key) + value for key, value in pairs) + b"u."


def pixels_of(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the pixels (N, 3, 32, 32) of a made-up batch."""
    number = [batch.name for batch in BATCHES].index(name)
    return np.random.default_rng(number).integers(0, 256, (IMAGES, 3, 32, 32), np.uint8)


def labels_of(name: str) -> list[int]:
    return [(row + len(name)) % 10 for row in range(IMAGES)]


FILES = {batch.name: batch_file(pixels_of(batch.name).tobytes(), labels_of(batch.name)) for batch in BATCHES}


def archive_file(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        folder = tarfile.TarInfo(FOLDER)
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("batches.meta", *reversed(files)):  # in an order of its own, as published
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            content = files.get(name, b"not looked at")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def unpack(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


ARCHIVE_BYTES = archive_file(FILES)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, empty: Path) -> Path:  # noqa: F811
    """A machine without data sets, for which CIFAR-10 is the small archive; returns its cache."""
    batches = tuple(
        dataclasses.replace(batch, md5=hashlib.md5(FILES[batch.name], usedforsecurity=False).hexdigest())
        for batch in BATCHES
    )
    size = len(ARCHIVE_BYTES)
    sha256 = hashlib.sha256(ARCHIVE_BYTES).hexdigest()
    monkeypatch.setattr(datasets, "_CIFAR_ARCHIVE", dataset_files.DataFile(ARCHIVE, size, size, sha256))
    for name, held in (("cifar10", batches), ("cifar10-test", batches[-1:])):
        monkeypatch.setitem(DATASETS, name, dataclasses.replace(DATASETS[name], batches=held))
    return empty


def no_download(*_: object) -> bytes:
    raise AssertionError("must not download")


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_column", [False, True])
def test_a_batch_is_read_as_pickle_reads_it(by_column):
    rows = pixels_of("test_batch").reshape(IMAGES, 3072)
    content = batch_file(rows.tobytes("F" if by_column else "C"), labels_of("test_batch"), by_column=by_column)
    reference = pickle.loads(content, encoding="latin1")  # this file is our own
    pixels, labels = parse_batch(content, "x")
    assert pixels.shape == (IMAGES, 32, 32, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert labels == reference["labels"] == labels_of("test_batch")
    np.testing.assert_array_equal(reference["data"], rows)
    for channel in range(3):  # the first 1,024 bytes of a row are its red plane, line by line
        plane = reference["data"][:, 1024 * channel : 1024 * (channel + 1)]
        np.testing.assert_array_equal(pixels[..., channel], plane.reshape(-1, 32, 32))


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def malicious(path: Path) -> list[bytes]:
    name = str(path).encode()
    call = b"cos\nmkdir\n" + text(name) + b"\x85R"
    array = FILES["test_batch"]
    return [
        *(pickle.dumps({"data": _Runs(path), "labels": []}, protocol) for protocol in range(6)),
        b"\x80\x02" + call + b"." + array,  # before
        array[:-2] + text(b"more") + call + b"u.",  # inside an array that is right
        array.replace(b"cnumpy\ndtype\n", b"cos\nmkdir\n"),
        array.replace(b"cnumpy\nndarray\n", b"cbuiltins\neval\n"),
        b"(S" + repr(str(path)).encode() + b"\nios\nmkdir\n.",  # the call of protocol 0
        b"(cos\nmkdir\n" + text(name) + b"o.",
        b"\x80\x04\x8c\x05numpy\x8c\x0f_core.os.system\x93" + text(name) + b"\x85R.",  # dotted
        b"\x80\x02cnumpy\nload\n" + text(name) + b"\x85R.",
        b"\x80\x02c__builtin__\nexec\nU\x01a\x85R.",
        b"Pcalls\n.",  # a persistent id
        b"\x82\x01.",  # the extension registry
    ]


@pytest.mark.parametrize("number", range(len(malicious(Path("x")))))
def test_a_malicious_pickle_runs_nothing(number, tmp_path):
    target = tmp_path / "made"
    with pytest.raises(SourceError, match=r"^test_batch is not a CIFAR-10 batch; nothing of it was run: ") as caught:
        parse_batch(malicious(target)[number], "test_batch")
    assert "\n" not in str(caught.value)
    assert not target.exists()


def test_the_malicious_pickle_would_run(tmp_path):
    pickle.loads(malicious(tmp_path / "made")[0])
    assert (tmp_path / "made").is_dir()


def test_raw_bytes_never_become_objects():
    # NumPy's own reconstruction takes eight bytes for a pointer, once the state of the dtype clears its flags
    with pytest.raises(SourceError, match="'data' is not an array of uint8"):
        parse_batch(batch_file(bytes(8), [0], dtype=b"O8", shape=(1, 1)), "x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "EOFError: Ran out of input"),
        (FILES["test_batch"][:5000], "UnpicklingError: pickle data was truncated"),
        (b"\x80\x02}.", "KeyError: 'data'"),
        (b"\x80\x02].", "TypeError: list indices"),
        (batch_file(bytes(3071), [0]), r"'data' must hold 3072 bytes for shape \(1, 3072\), got 3071"),
        (batch_file(bytes(3072), [0], dtype=b"f4"), "'data' is not an array of uint8"),
        (
            batch_file(bytes(3072), [0, 1], shape=(1, 3072)),
            r"2 rows of 3072 bytes, one for each label, got \(1, 3072\)",
        ),
        (batch_file(bytes(3072), [0], shape=(3, 1024)), r"1 rows of 3072 bytes, .* got \(3, 1024\)"),
        (batch_file(bytes(3072), [10]), r"labels in 0\.\.9, got others"),
        (FILES["test_batch"].replace(b"U\x06labels", b"U\x06Labels"), "KeyError: 'labels'"),
    ],
)
def test_what_is_no_batch_is_one_line(content, reason):
    with pytest.raises(SourceError, match=reason) as caught:
        parse_batch(content, "x")
    assert "\n" not in str(caught.value)


# --- where it is looked for -------------------------------------------------------------------------------------------


def test_the_table_names_what_the_author_publishes():
    assert [batch.split for batch in BATCHES] == ["train"] * 5 + ["test"]
    assert all(len(bytes.fromhex(batch.md5)) == 16 for batch in BATCHES)
    assert len({batch.md5 for batch in BATCHES}) == 6
    assert DATASETS["cifar10"].batches == BATCHES
    assert DATASETS["cifar10-test"].batches == BATCHES[-1:]
    assert DATASETS["cifar10"].licence == "not stated"
    assert datasets._CIFAR_ARCHIVE.bytes == 170_498_071
    assert len(bytes.fromhex(datasets._CIFAR_ARCHIVE.sha256)) == 32


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("sub", ["", "cifar-10"])
@pytest.mark.parametrize("where", ["argument", "environment", "cache", "system"])
def test_each_place_is_enough(small, monkeypatch, tmp_path, where, sub, packed):
    monkeypatch.setattr(download, "_download", no_download)
    root = small if where == "cache" else tmp_path / "here"
    if packed:
        (root / sub).mkdir(parents=True)
        (root / sub / ARCHIVE).write_bytes(ARCHIVE_BYTES)
    else:
        unpack(root / sub / FOLDER, FILES)
    if where == "environment":
        monkeypatch.setenv("DINOSCOPE_DATA", str(root))
    if where == "system":
        monkeypatch.setattr(datasets, "_SYSTEM", root)
    before = sorted(tmp_path.rglob("*"))
    source = load_dataset("cifar10-test", root if where == "argument" else None)
    np.testing.assert_array_equal(source.pixels, pixels_of("test_batch").transpose(0, 2, 3, 1))
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked to the disk


def test_both_splits_in_the_order_of_the_batches(small, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_download", no_download)
    (tmp_path / ARCHIVE).write_bytes(ARCHIVE_BYTES)
    source = load_dataset("cifar10", tmp_path)
    assert (source.kind, source.pixels.shape) == ("dataset", (6 * IMAGES, 32, 32, 3))
    for number, batch in enumerate(BATCHES):
        items = source.items[number * IMAGES : (number + 1) * IMAGES]
        assert [item.label for item in items] == [source.dataset.class_names[n] for n in labels_of(batch.name)]
        assert {item.split for item in items} == {batch.split}
        planes = pixels_of(batch.name).transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(source.pixels[number * IMAGES : (number + 1) * IMAGES], planes)
    ids = [source.items[row].id for row in (0, IMAGES, 5 * IMAGES - 1, 5 * IMAGES)]
    assert ids == ["train/00000", "train/00020", "train/00099", "test/00000"]
    image = source.load(3)
    np.testing.assert_array_equal(image, pixels_of("data_batch_1")[3].transpose(1, 2, 0))
    assert load_dataset("cifar10-test", tmp_path).items[0].id == "test/00000"


def test_the_folder_of_the_batches_may_be_named_itself(small, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_download", no_download)
    assert len(load_dataset("cifar10", unpack(tmp_path / FOLDER, FILES)).items) == 6 * IMAGES


def test_an_archive_packed_anew_counts_and_other_content_does_not(small, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_download", no_download)
    other = {**FILES, "test_batch": FILES["data_batch_1"]}
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / ARCHIVE).write_bytes(archive_file(other))
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / ARCHIVE).write_bytes(gzip.compress(gzip.decompress(ARCHIVE_BYTES), 0))
    monkeypatch.setenv("DINOSCOPE_DATA", str(tmp_path / "good"))
    assert load_dataset("cifar10-test", tmp_path / "bad").items[0].label == "airplane"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ARCHIVE_BYTES[: len(ARCHIVE_BYTES) // 2], r"(damaged or cut short|has no )"),
        (b"<html>", "damaged or cut short"),
        (
            archive_file({name: FILES[name] for name in list(FILES)[:3]}),
            "has no data_batch_4, data_batch_5, test_batch",
        ),
        (
            archive_file({**FILES, "data_batch_2": b"other"}),
            r"wrong content of data_batch_2, expected MD5 \w{12}\.\.\.",
        ),
    ],
)
def test_a_damaged_archive_is_named_where_none_can_be_fetched(small, tmp_path, content, reason):
    (tmp_path / ARCHIVE).write_bytes(content)
    message = rf"could not fetch {ARCHIVE} \({re.escape(str(tmp_path / ARCHIVE))}: {reason}"
    with pytest.raises(DownloadError, match=message) as caught:
        load_dataset("cifar10", tmp_path, mirrors=["http://127.0.0.1:9/"])
    assert "\n" not in str(caught.value)


def test_a_pickle_of_other_content_is_never_opened(small, monkeypatch, tmp_path):
    monkeypatch.setattr(dataset_files, "parse_batch", no_download)
    unpack(tmp_path / FOLDER, dict.fromkeys(FILES, malicious(tmp_path / "made")[0]))
    with pytest.raises(DownloadError, match="wrong content of data_batch_1"):
        load_dataset("cifar10", tmp_path, mirrors=["http://127.0.0.1:9/"])


# --- fetching ---------------------------------------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def server(mirror: Callable[..., str]) -> Callable[[Answer], str]:  # noqa: F811
    """Start a web server that answers with a function; returns its address."""
    return lambda answer: mirror(lambda handler, _: answer(handler), known=False)


def test_fetched_once_and_kept_as_it_came(small, server, monkeypatch):
    address = server(lambda to: whole(to, ARCHIVE_BYTES))
    assert len(load_dataset("cifar10-test", mirrors=[address]).items) == IMAGES
    kept = [path.name for path in (small / "cifar-10").iterdir() if path.suffix != ".lock"]
    assert kept == [ARCHIVE]
    monkeypatch.setattr(download, "_download", no_download)
    assert len(load_dataset("cifar10").items) == 6 * IMAGES


def test_a_cut_download_goes_on_where_it_stopped(small, server):
    asked = []

    def ranges(to: BaseHTTPRequestHandler) -> None:
        asked.append(to.headers.get("Range"))
        start = int((asked[-1] or "bytes=0-")[6:-1])
        to.send_response(206 if start else 200)
        to.send_header("Content-Length", str(len(ARCHIVE_BYTES) - start))
        to.end_headers()
        to.wfile.write(ARCHIVE_BYTES[start : start + (len(ARCHIVE_BYTES) if start else 7000)])

    address = server(ranges)
    with pytest.raises(DownloadError, match=rf"cut short, 7000 of {len(ARCHIVE_BYTES)} bytes; another try goes on"):
        load_dataset("cifar10", mirrors=[address])
    assert len(load_dataset("cifar10", mirrors=[address]).items) == 6 * IMAGES
    assert asked == [None, "bytes=7000-"]


@pytest.mark.parametrize("kept", [b"nonsense", ARCHIVE_BYTES[:5000]])
def test_a_server_without_ranges_sends_the_whole(small, server, kept):
    (small / "cifar-10").mkdir(parents=True)
    (small / "cifar-10" / f"{ARCHIVE}.part").write_bytes(kept)
    assert len(load_dataset("cifar10", mirrors=[server(lambda to: whole(to, ARCHIVE_BYTES))]).items) == 6 * IMAGES


@pytest.mark.parametrize(
    ("status", "body", "reason", "is_kept"),
    [
        (206, ARCHIVE_BYTES[8:], "wrong content, expected .* bytes with SHA-256", False),
        (206, bytes(len(ARCHIVE_BYTES)), "too large", False),
        (416, b"", "HTTP Error 416", False),
        (503, b"", "HTTP Error 503", True),  # may pass
    ],
)
def test_a_part_that_leads_nowhere_is_deleted(small, server, status, body, reason, is_kept):
    part = small / "cifar-10" / f"{ARCHIVE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"nonsense")

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    with pytest.raises(DownloadError, match=reason):
        load_dataset("cifar10", mirrors=[server(answer)])
    assert part.exists() == is_kept
    assert not (part.parent / ARCHIVE).exists()


def test_the_whole_archive_is_checked_whatever_is_wanted_of_it(small, server):
    later = archive_file({**FILES, "data_batch_1": b"last in the archive, and other than published"})
    with pytest.raises(DownloadError, match=r"wrong content, expected \d+ bytes with SHA-256"):
        load_dataset("cifar10-test", mirrors=[server(lambda to: send(to, later, None))])


def test_no_network_says_what_to_do(small):
    with pytest.raises(
        DownloadError,
        match=rf"could not fetch {ARCHIVE} \(127.0.0.1: .*refused\); put it into .*cifar-10, or set DINOSCOPE_DATA to "
        "its folder; fashion-mnist-test ships with dinoscope",
    ):
        load_dataset("cifar10", mirrors=["http://127.0.0.1:9/"])
