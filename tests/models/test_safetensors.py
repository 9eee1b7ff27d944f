import json

import numpy as np
import pytest

from dinoscope.errors import ModelError
from dinoscope.models.safetensors import read_tensors

NUMBERS = np.array([[0.0, 1.0, -2.0], [0.5, -0.25, 96.0]], np.float32)


def write(path, header, body=b""):
    """Write a safetensors file; a header that is no bytes is written as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(kind="F32", shape=(2,), begin=0, end=8):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("F64", NUMBERS.astype("<f8")),
        ("F32", NUMBERS.astype("<f4")),
        ("F16", NUMBERS.astype("<f2")),
        ("BF16", (NUMBERS.view(np.uint32) >> 16).astype("<u2")),
        ("I64", NUMBERS.astype("<i8")),
        ("I32", NUMBERS.astype("<i4")),
        ("U8", np.abs(NUMBERS).astype("u1")),
        ("BOOL", NUMBERS != 0),
    ],
)
def test_every_type_is_read_as_float32(tmp_path, kind, body):
    """The tensor stands behind another one, at an offset that its type does not divide."""
    expected = {"BF16": NUMBERS}.get(kind, body.astype(np.float32))
    header = {
        "__metadata__": {"format": "pt"},
        "first": entry("U8", (3,), 0, 3),
        "second": entry(kind, (2, 3), 3, 3 + body.nbytes),
    }
    tensors = read_tensors(write(tmp_path / "w", header, b"abc" + body.tobytes()))
    assert list(tensors) == ["first", "second"]
    assert (tensors["second"].kind, tensors["second"].shape) == (kind, (2, 3))
    assert tensors["second"].bytes == body.nbytes
    values = tensors["second"].read()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(tensors["first"].read(), [97, 98, 99])


def test_bfloat16_keeps_signs_exponents_and_what_is_no_number(tmp_path):
    bits = np.array([0x3F80, 0xBF80, 0x0001, 0x7F80, 0xFF80, 0x7FC0, 0x8000], "<u2")
    tensors = read_tensors(write(tmp_path / "w", {"x": entry("BF16", (7,), 0, 14)}, bits.tobytes()))
    np.testing.assert_array_equal(tensors["x"].read(), [1, -1, 2.0**-133, np.inf, -np.inf, np.nan, -0.0])
    assert np.signbit(tensors["x"].read()[-1])


def test_rows_are_a_view_of_the_file(tmp_path):
    values = np.arange(24, dtype="<f4").reshape(6, 2, 2)
    whole = read_tensors(write(tmp_path / "w", {"x": entry("F32", (6, 2, 2), 0, 96)}, values.tobytes()))["x"]
    part = whole.rows(2, 5)
    assert part.shape == (3, 2, 2)
    assert part.offset == whole.offset + 2 * 16
    np.testing.assert_array_equal(part.read(), values[2:5])
    np.testing.assert_array_equal(part.rows(1, 2).read(), values[3:4])


def test_scalars_and_empty_tensors(tmp_path):
    header = {"scalar": entry("F32", (), 0, 4), "empty": entry("F32", (0, 5), 4, 4)}
    tensors = read_tensors(write(tmp_path / "w", header, np.float32(7).tobytes()))
    assert tensors["scalar"].read() == 7
    assert tensors["empty"].read().shape == (0, 5)


def test_a_link_leads_to_the_file(tmp_path):
    """ONNX Runtime refuses external data behind a link, which is what the cache of the hub is made of."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    file = write(tmp_path / "blobs" / "abc", {"x": entry()}, bytes(8))
    link = tmp_path / "snapshot" / "model.safetensors"
    link.symlink_to(file)
    assert read_tensors(link)["x"].file == file.resolve()


NO_FORMAT = "its header is not what the format asks for"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{not JSON}", NO_FORMAT),
        (b"\xff\xfe\x00 nothing at all", NO_FORMAT),
        (b"[" * 100_000, NO_FORMAT),
        (["x"], NO_FORMAT),
        ("x!", NO_FORMAT),
        ({"x": 1}, NO_FORMAT),
        ({"x": []}, NO_FORMAT),
        ({"x": {"dtype": "F32", "shape": [2]}}, NO_FORMAT),
        ({"x": {"dtype": "F32", "data_offsets": [0, 8]}}, NO_FORMAT),
        ({"x": {"shape": [2], "data_offsets": [0, 8]}}, NO_FORMAT),
        ({"x": entry("F8_OF_NOBODY")}, NO_FORMAT),
        ({"x": entry(["F32"])}, NO_FORMAT),
        ({"x": {**entry(), "data_offsets": [0]}}, NO_FORMAT),
        ({"x": {**entry(), "data_offsets": "08"}}, NO_FORMAT),
        ({"x": entry(begin=0.0, end=8.0)}, NO_FORMAT),
        ({"x": entry(shape=(2.5,), end=8)}, NO_FORMAT),
        ({"x": entry(shape=(-2,), end=-8)}, NO_FORMAT),
        ({"x": entry(shape=(-1, -2))}, NO_FORMAT),
        ({"x": entry(begin=-8, end=0)}, NO_FORMAT),
        ({"x": entry(shape=(3,))}, NO_FORMAT),
        ({"x": entry(begin=8, end=0)}, NO_FORMAT),
        ({"x": entry(), "y": entry(begin=4, end=12)}, r"cut short: expected at least [\d,]+ bytes, got [\d,]+; fetch"),
        ({"x": entry(shape=(2**60,), end=2**62)}, "cut short: expected at least 4,611,686,018,427,38"),
    ],
)
def test_damaged_headers(tmp_path, header, message):
    file = write(tmp_path / "w.safetensors", header, bytes(8))
    with pytest.raises(ModelError, match=rf"^w\.safetensors .*{message}"):
        read_tensors(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        bytes(8),
        bytes(100),
        (2**63).to_bytes(8, "little") + b"{}",
        (3).to_bytes(8, "little") + b"{}",
        b"<!DOCTYPE html><title>404</title>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
)
def test_what_is_no_safetensors_file(tmp_path, content):
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    with pytest.raises(
        ModelError, match=r"^w\.safetensors is not a safetensors file, or is cut short: its header does"
    ):
        read_tensors(file)


def test_a_file_that_ends_too_early_at_every_byte(tmp_path):
    whole = write(tmp_path / "whole", {"x": entry()}, bytes(8)).read_bytes()
    assert read_tensors(tmp_path / "whole")["x"].offset == len(whole) - 8
    part = tmp_path / "part"
    for length in range(len(whole)):
        part.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"^part is "):
            read_tensors(part)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(ModelError, match=r"^cannot read the weights gone: No such file"):
        read_tensors(tmp_path / "gone")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=r"^cannot read the weights folder: "):
        read_tensors(tmp_path / "folder")
