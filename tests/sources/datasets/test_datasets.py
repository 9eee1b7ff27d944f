from __future__ import annotations

import dataclasses
import gzip
import hashlib
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from dinoscope.base.package import PACKAGE
from dinoscope.errors import DownloadError, SourceError
from dinoscope.models.catalogue import MODELS
from dinoscope.sources.array import load_array_file
from dinoscope.sources.datasets import download
from dinoscope.sources.datasets import named as datasets
from dinoscope.sources.datasets.files import DataFile, parse_idx
from dinoscope.sources.datasets.named import DATASETS, list_datasets, load_dataset

SHIPPED = PACKAGE / "data"
IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
NAME = "fashion-mnist-test"


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any data set; returns its cache."""
    cache = tmp_path / "cache"
    monkeypatch.setattr(datasets, "_SHIPPED", tmp_path / "no-package")
    monkeypatch.setattr(datasets, "_SYSTEM", tmp_path / "no-system")
    for module in (datasets, download):
        monkeypatch.setattr(module, "cache_folder", lambda: cache)
    monkeypatch.delenv("DINOSCOPE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return cache


Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@pytest.fixture
def mirror() -> Iterator[Callable[..., str]]:
    """Start web servers that answer with a function of the right file's bytes; returns their address."""
    servers = []

    def start(answer: Answer, known: bool = True) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self, (SHIPPED / Path(self.path).name).read_bytes() if known else b"")

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/files/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, length: int | None) -> None:
    handler.send_response(200)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    send(handler, data, len(data))


def no_download(*_: object) -> bytes:
    raise AssertionError("must not download")


def not_here(*_: object) -> bytes:
    raise LookupError


def copy_files(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (IMAGES, LABELS):
        shutil.copy(SHIPPED / name, folder)
    return folder


# --- the table and the shipped set ------------------------------------------------------------------------------------


def test_table():
    assert [row.name for row in list_datasets()] == ["fashion-mnist", "fashion-mnist-test", "cifar10", "cifar10-test"]
    for row in list_datasets():
        assert len(set(row.class_names)) == 10
        assert row.model in MODELS
        assert all(address.startswith("https://") for address in (*row.mirrors, row.citation))
        assert all(len(bytes.fromhex(file.sha256)) == 32 for _, *files in row.parts for file in files)
        assert row.images == sum(file.bytes - 8 for _, _, file in row.parts) + 10_000 * len(row.batches)
        assert row.licence == ("MIT" if row.parts else "not stated")


def test_shipped_files_need_nothing_else(empty, monkeypatch):
    monkeypatch.setattr(datasets, "_SHIPPED", SHIPPED)
    monkeypatch.setattr(download, "_download", no_download)
    source = load_dataset(NAME)
    assert (source.name, source.kind, source.pixels.shape) == (NAME, "dataset", (10_000, 28, 28))
    names = source.dataset.class_names
    assert [names.index(item.label or "") for item in source.items[:10]] == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert (source.items[7].id, source.items[7].split, source.items[7].label) == ("test/00007", "test", "Shirt")
    assert len({item.key for item in source.items}) == 10_000
    image = source.load(7)
    assert image.shape == (28, 28, 3)
    assert image.dtype == np.uint8
    assert all((image[:, :, channel] == source.pixels[7]).all() for channel in range(3))
    assert "Zalando SE" in (SHIPPED / "LICENSE").read_text(encoding="utf-8")


def test_both_splits_where_the_files_are_here(monkeypatch):
    monkeypatch.setattr(download, "_download", not_here)
    try:
        source = load_dataset("fashion-mnist")
    except LookupError:
        pytest.skip("the 60,000 training images are not on this machine")
    assert len(source.items) == len(source.pixels) == 70_000
    assert [source.items[row].id for row in (0, 59_999, 60_000, 69_999)] == [
        "train/00000",
        "train/59999",
        "test/00000",
        "test/09999",
    ]
    test = load_dataset(NAME)
    assert [item.label for item in source.items[60_000:]] == [item.label for item in test.items]
    np.testing.assert_array_equal(source.pixels[60_000:], test.pixels)
    assert source.items[60_000].key != test.items[0].key


# --- where files are looked for ---------------------------------------------------------------------------------------


def test_places_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("DINOSCOPE_DATA", str(tmp_path / "env"))
    places = datasets._places(DATASETS[NAME], tmp_path / "wish")
    wish, env, cache, system, shipped = places[::2]
    assert (wish, env) == (tmp_path / "wish", tmp_path / "env")
    assert cache.parts[-2:] == ("dinoscope", "datasets")
    assert (system, shipped) == (Path("/usr/share/datasets"), SHIPPED)
    assert places[1::2] == [place / "fashion-mnist" for place in places[::2]]


@pytest.mark.parametrize("sub", ["", "fashion-mnist"])
@pytest.mark.parametrize("where", ["argument", "environment", "cache", "system"])
def test_each_place_is_enough(empty, monkeypatch, tmp_path, where, sub):
    monkeypatch.setattr(download, "_download", no_download)
    root = empty if where == "cache" else tmp_path / "here"
    copy_files(root / sub)
    if where == "environment":
        monkeypatch.setenv("DINOSCOPE_DATA", str(root))
    if where == "system":
        monkeypatch.setattr(datasets, "_SYSTEM", root)
    assert len(load_dataset(NAME, root if where == "argument" else None).items) == 10_000


def test_unpacked_files_count_and_damaged_ones_do_not(empty, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_download", no_download)
    bad, good = copy_files(tmp_path / "bad"), copy_files(tmp_path / "good")
    (bad / IMAGES).write_bytes((SHIPPED / IMAGES).read_bytes()[:-100])
    (bad / LABELS).write_bytes(gzip.compress(bytes(10_008)))
    (good / IMAGES).unlink()
    (good / "t10k-images-idx3-ubyte").write_bytes(gzip.decompress((SHIPPED / IMAGES).read_bytes()))
    monkeypatch.setenv("DINOSCOPE_DATA", str(good))
    assert len(load_dataset(NAME, bad).items) == 10_000


def test_unknown_name_and_folder(tmp_path):
    with pytest.raises(SourceError, match=r"unknown data set 'fashion_mnist'; .*did you mean 'fashion-mnist'"):
        load_dataset("fashion_mnist")
    with pytest.raises(SourceError, match=r"data_dir must be a folder, got '.*nowhere'"):
        load_dataset(NAME, tmp_path / "nowhere")


# --- fetching ---------------------------------------------------------------------------------------------------------


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "fashion-mnist").iterdir() if path.suffix != ".lock")


def test_download_verifies_and_keeps(empty, mirror, monkeypatch):
    source = load_dataset(NAME, mirrors=[mirror(whole)])
    assert source.items[0].label == "Ankle boot"
    assert kept(empty) == [IMAGES, LABELS]
    monkeypatch.setattr(download, "_download", no_download)
    assert len(load_dataset(NAME).items) == 10_000


def test_download_without_a_length_and_from_the_second_mirror(empty, mirror):
    gone = mirror(lambda handler, _: handler.send_error(404))
    assert len(load_dataset(NAME, mirrors=[gone, mirror(lambda to, data: send(to, data, None))]).items) == 10_000


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda to, data: to.send_error(404), "127.0.0.1: HTTP Error 404"),
        (lambda to, data: to.send_error(503), "HTTP Error 503"),
        (lambda to, data: send(to, data[:-500], None), "damaged or cut short"),
        (
            lambda to, data: send(to, gzip.compress(bytes(99)), None),
            "wrong content, expected 7840016 bytes with SHA-256 5b",
        ),
        (lambda to, data: send(to, b"<html>log in first</html>", None), "damaged or cut short"),
        (lambda to, data: send(to, bytes(9_000_000), None), "too large, expected 4422102 bytes"),
        (lambda to, data: to.wfile.write(b"nonsense\r\n\r\n"), "nonsense"),
        (lambda to, data: None, "closed connection without response"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(empty, mirror, answer, reason):
    with pytest.raises(DownloadError, match=reason) as caught:
        load_dataset(NAME, mirrors=[mirror(answer)])
    assert "\n" not in str(caught.value)
    assert kept(empty) == []


def test_what_came_before_a_cut_is_kept_for_the_next_try(empty, mirror):
    with pytest.raises(DownloadError, match=r"cut short, 1000 of \d+ bytes; another try goes on there"):
        load_dataset(NAME, mirrors=[mirror(lambda to, data: send(to, data[:1000], len(data)))])
    assert kept(empty) == [f"{IMAGES}.part"]
    assert len(load_dataset(NAME, mirrors=[mirror(whole)]).items) == 10_000
    assert kept(empty) == [IMAGES, LABELS]


def test_a_part_that_a_server_does_not_go_on_from_is_fetched_anew(empty, mirror):
    def strict(to, data):
        start = int(to.headers.get("Range", "bytes=0-")[6:-1])
        to.send_error(416) if start >= len(data) else whole(to, data)

    folder = copy_files(empty / "fashion-mnist")  # whole, and not yet renamed when the process was killed
    (folder / IMAGES).rename(folder / f"{IMAGES}.part")
    assert len(load_dataset(NAME, mirrors=[mirror(strict)]).items) == 10_000
    assert kept(empty) == [IMAGES, LABELS]


def test_no_network_says_what_to_do(empty):
    with pytest.raises(
        DownloadError,
        match=r"could not fetch train-images.*refused.*put it into .*fashion-mnist, set "
        r"DINOSCOPE_DATA to its folder, or install Debian's dataset-fashion-mnist; fashion-mnist-test ",
    ):
        load_dataset("fashion-mnist", mirrors=["http://127.0.0.1:9/"])


def test_a_part_file_never_counts(empty, monkeypatch):
    folder = copy_files(empty / "fashion-mnist")
    (folder / IMAGES).rename(folder / f"{IMAGES}.part")
    with pytest.raises(DownloadError, match="could not fetch t10k-images"):
        load_dataset(NAME, mirrors=["http://127.0.0.1:9/"])


def test_a_cache_that_cannot_be_written(empty, mirror):
    empty.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="could not fetch"):
        load_dataset(NAME, mirrors=[mirror(whole)])


def test_a_progress_bar_on_a_terminal(empty, mirror, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich believe in a terminal
    load_dataset(NAME, mirrors=[mirror(whole)])
    assert IMAGES in capsys.readouterr().err


# --- IDX --------------------------------------------------------------------------------------------------------------


def test_parse_idx():
    data = b"\0\0\x08\x02" + struct.pack(">II", 2, 3) + bytes(range(6))
    np.testing.assert_array_equal(parse_idx(data, "x"), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "x is not an IDX file of bytes"),
        (b"\0\0\x0d\x01" + bytes(8), "it begins with 00 00 0d 01"),
        (b"\0\0\x08\x03" + bytes(5), "is not an IDX file"),
        (b"\0\0\x08\x01" + struct.pack(">I", 5) + b"abc", r"x must hold 5 bytes for shape \(5,\), got 3"),
        (b"\0\0\x08\x02" + struct.pack(">II", 2**32 - 1, 2**32 - 1), "must hold 18446744065119617025 bytes"),
    ],
)
def test_parse_idx_refuses(data, reason):
    with pytest.raises(SourceError, match=reason):
        parse_idx(data, "x")


def test_images_and_labels_that_do_not_fit(empty, monkeypatch, tmp_path):
    files = []
    for name, data in (
        ("i.gz", b"\0\0\x08\x03" + struct.pack(">III", 2, 1, 1) + bytes(2)),
        ("l.gz", b"\0\0\x08\x01" + struct.pack(">I", 3) + bytes(3)),
    ):
        (tmp_path / name).write_bytes(gzip.compress(data))
        files.append(DataFile(name, 0, len(data), hashlib.sha256(data).hexdigest()))
    row = dataclasses.replace(DATASETS[NAME], name="odd", parts=(("test", files[0], files[1]),))
    monkeypatch.setitem(DATASETS, "odd", row)
    with pytest.raises(SourceError, match=r"test: \(3,\) labels do not fit \(2, 1, 1\) images"):
        load_dataset("odd", tmp_path)


# --- files that hold an array -----------------------------------------------------------------------------------------


def test_an_archive_that_is_none_or_locked(tmp_path):
    path = tmp_path / "images.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(SourceError, match=r"images\.npz is not a readable NumPy file: File is not a zip file"):
        load_array_file(path)
    np.savez(path, images=np.zeros((2, 8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1  # says that it is encrypted
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"images\.npz is not a readable NumPy file: .*encrypted"):
        load_array_file(path)
