from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import ImageError, InputError, SourceError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.base import ImageSource
from dinoscope.sources.filesystems import MAX_BYTES, LocalStorage
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.opening import open_source
from dinoscope.sources.pixels.decode import MAX_PIXELS
from dinoscope.sources.selection import select
from tests.pictures import encoded


def picture(number: int) -> bytes:
    return encoded(Image.new("RGB", (8, 6), (number, 2 * number % 256, 7)), "PNG")


def shade(source: ImageSource, index: int) -> int:
    """The number that a picture was made of."""
    return int(source.load(index)[0, 0, 0])


def described(source: ImageSource) -> list[tuple[str, str | None, str | None, int]]:
    return [(item.id, item.label, item.split, shade(source, index)) for index, item in enumerate(source.items)]


def make_tar(path, members, form=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


MEMBERS = [
    (f"{split}/{label}/{number}.png", picture(10 * number))
    for number, split, label in [(1, "test", "cat"), (2, "test", "dog"), (3, "train", "cat"), (4, "train", "dog")]
]


@pytest.fixture
def folder(tmp_path):
    for name, content in MEMBERS:
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(content)
    return tmp_path / "pictures"


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "stored", "deflated", "bzip2"])
def test_an_archive_is_what_its_folder_is(tmp_path, folder, form):
    tars = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}
    if form in tars:
        source = open_source(make_tar(tmp_path / "a.tar", MEMBERS, tars[form]))
    else:
        methods = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2}
        source = open_source(make_zip(tmp_path / "a.zip", MEMBERS, methods[form]))
    assert isinstance(source, ImageSource)
    assert (source.kind, source.name[:2]) == ("archive", "a.")
    if form == "bzip2":
        with pytest.raises(ImageError, match="encrypted or compressed in a way that is not read"):
            source.load(0)
        return
    assert described(source) == described(FolderSource(folder))
    assert len({item.key for item in source.items}) == len(MEMBERS)


def test_names_are_harmless_and_nothing_is_written(tmp_path):
    inside = tmp_path / "work"
    inside.mkdir()
    members = [
        ("../../evil.png", picture(1)),
        ("/etc/abs.png", picture(2)),
        ("./a/b.png", picture(3)),
        ("a/../c.png", picture(4)),
        ("__MACOSX/._b.png", b""),
        ("a/.hidden.png", b""),
    ]
    ids = ["evil.png", "etc/abs.png", "a/b.png", "a/c.png"]
    for path in (make_tar(inside / "a.tar", members), make_zip(inside / "a.zip", members)):
        source = open_source(path)
        assert [item.id for item in source.items] == ids
        assert [shade(source, index) for index in range(4)] == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "a.zip", "work"]


def test_backslashes_in_a_zip_from_windows(tmp_path):
    members = [("cats\\1.png", picture(1)), ("dogs\\1.png", picture(2))]
    assert [item.label for item in open_source(make_zip(tmp_path / "a.zip", members)).items] == ["cats", "dogs"]


def test_odd_names(tmp_path):
    names = ["line\nbreak.png", "quo'te\".png", "x" * 251 + ".png", "\u05e9\u05dc\u05d5\u05dd.png", "sp ace.png"]
    members = [(name, picture(number)) for number, name in enumerate(names)]
    for path in (make_tar(tmp_path / "a.tar", members), make_zip(tmp_path / "a.zip", members)):
        source = open_source(path)
        assert described(source) == [(name, None, None, number) for number, name in enumerate(names)]
    path = make_tar(tmp_path / "b.tar", [("caf\udce9.png", picture(9))], tarfile.GNU_FORMAT)
    assert described(open_source(path)) == [("caf\\xe9.png", None, None, 9)]


def make_unflagged_zip(path, members, system=3):
    """A zip as programs on Linux and macOS write it: the names' bytes, and no flag that says that they are UTF-8."""
    stand_ins = [f"{number:_>{len(name)}}" for number, (name, _) in enumerate(members)]  # names that need no flag
    with zipfile.ZipFile(path, "w") as archive:
        for stand_in, (_, content) in zip(stand_ins, members, strict=True):
            info = zipfile.ZipInfo(stand_in)
            info.create_system = system
            archive.writestr(info, content)
    written = path.read_bytes()
    for stand_in, (name, _) in zip(stand_ins, members, strict=True):
        written = written.replace(stand_in.encode(), name)
    path.write_bytes(written)
    return path


def test_names_in_utf8_of_a_zip_that_does_not_say_so(tmp_path):
    names = ["train/\u00c4dd stuff \U0001f995/\u00e9.png", "train/\u65e5\u672c/1.png", "test/cat/2.png"]
    members = [(name, picture(number)) for number, name in enumerate(names)]
    for name, content in members:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    expected = described(open_source(tmp_path / "set"))
    raw = [(name.encode(), content) for name, content in members]
    for path in (make_unflagged_zip(tmp_path / "a.zip", raw), make_tar(tmp_path / "a.tar", members)):
        assert sorted(described(open_source(path))) == sorted(expected)
    assert (names[0], "\u00c4dd stuff \U0001f995", "train", 0) in expected
    # what is no UTF-8, and what DOS wrote, is in DOS's own code page
    assert open_source(make_unflagged_zip(tmp_path / "b.zip", [(b"caf\x82.png", b"")])).items[0].id == "caf\u00e9.png"
    dos = make_unflagged_zip(tmp_path / "c.zip", [("\u00e9.png".encode(), b"")], system=0)
    assert open_source(dos).items[0].id == "\u251c\u2310.png"


def test_the_last_of_two_members_with_one_name_counts(tmp_path):
    path = make_tar(tmp_path / "a.tar", [("a.png", picture(1)), ("b.png", picture(2)), ("a.png", picture(3))])
    source = open_source(path)
    assert [(item.id, shade(source, index)) for index, item in enumerate(source.items)] == [("b.png", 2), ("a.png", 3)]
    assert source.notes == ["a member is there more than once; its last copy counts"]


def test_links_and_other_files_inside(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE), ("f.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    members = [("1.png", picture(1)), ("notes.md", b"x"), ("empty.png", b""), ("text.jpg", b"hello")]
    make_tar(tmp_path / "b.tar", members)
    with pytest.raises(SourceError, match=r"no images in 'a\.tar'"):
        open_source(tmp_path / "a.tar")
    with pytest.raises(SourceError, match=r"no images in 'c\.zip' \(2 \.nef\)"):
        open_source(make_zip(tmp_path / "c.zip", [("1.nef", b""), ("2.NEF", b"")]))
    source = open_source(tmp_path / "b.tar")
    assert source.ignored_endings == {".md": 1}
    with pytest.raises(ImageError, match="is empty"):
        source.load(1)
    with pytest.raises(ImageError, match="is not a JPEG"):
        source.load(2)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_of_a_cut_tar_the_readable_part_is_used(tmp_path, at):
    noise = np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), np.uint8)
    members = [(f"{number}.png", encoded(Image.fromarray(pixels), "PNG")) for number, pixels in enumerate(noise)]
    whole = make_tar(tmp_path / "whole.tar", members).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * at)])
    source = open_source(tmp_path / "cut.tar")
    assert 2 <= len(source.items) < 9
    assert "cut.tar is damaged or cut after" in source.notes[0]
    for index in range(len(source.items) - 1):
        assert source.load(index).shape == (40, 40, 3)
    # a cut within the last one
    end = whole.index(members[5][1])
    (tmp_path / "cut.tar").write_bytes(whole[: end + 100])
    source = open_source(tmp_path / "cut.tar")
    assert len(source.items) == 6
    with pytest.raises(ImageError, match="damaged: the archive ends within it"):
        source.load(5)


def test_a_tar_damaged_in_the_middle_says_so(tmp_path):
    content = bytearray(make_tar(tmp_path / "a.tar", [(f"{n}.png", picture(n)) for n in range(9)]).read_bytes())
    content[2048:2560] = b"\xff" * 512
    (tmp_path / "a.tar").write_bytes(content)
    source = open_source(tmp_path / "a.tar")
    assert len(source.items) < 9
    assert "damaged or cut" in source.notes[0]


def test_damaged_zips(tmp_path):
    path = make_zip(tmp_path / "a.zip", MEMBERS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"a\.zip is damaged or cut: the list at its end.*zip -FF a\.zip"):
        open_source(path)
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    path.write_bytes(flipped)
    source = open_source(path)
    with pytest.raises(ImageError, match="damaged"):
        source.load(0)
    assert shade(source, 1) == 20


def test_a_zip_bomb_ends_at_the_size_that_it_states(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("bomb.png", bytes(30_000_000))])
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")  # the uncompressed size
    path.write_bytes(content)
    with pytest.raises(ImageError, match="damaged: it is not what the archive says"):
        open_source(path).load(0)


@pytest.mark.parametrize(
    ("name", "head", "reason"),
    [
        ("a.png", b"", "^is not a JPEG, PNG"),
        ("a.bmp", encoded(Image.new("RGB", (8, 6)), "BMP"), "^has 143 MB for 8 x 6 pixels, expected at most 64$"),
        (
            "a.tif",
            encoded(Image.new("RGB", (8, 6)), "TIFF"),
            "^unpacks to 286 MB from .* kB, expected at most 100 times as much$",
        ),
    ],
)
def test_a_zip_bomb_is_not_unpacked(tmp_path, name, head, reason):
    size = 150_000_000 if name != "a.tif" else 300_000_000
    path, packing = tmp_path / "a.zip", zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", packing, compresslevel=1) as archive, archive.open(name, "w") as file:
        file.write(head)
        for _ in range(size // 10_000_000):
            file.write(bytes(10_000_000))
    source = open_source(tmp_path / "a.zip")
    tracemalloc.start()
    with pytest.raises(ImageError, match=reason):
        source.load(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_large_members_are_unpacked_one_at_a_time(tmp_path, monkeypatch):
    large = picture(1) + bytes(40_000_000)
    source = open_source(make_zip(tmp_path / "a.zip", [(f"{at}.png", large) for at in range(4)]))
    running, most = 0, 0

    def read(*_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return picture(1)

    monkeypatch.setattr(source, "picture", read)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(source.load, range(4)))
    assert most == 1


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("compress_size", 1 << 45, f"has {1 << 25} MB, expected at most {MAX_BYTES >> 20}"),
        ("file_size", 1 << 45, f"has {1 << 25} MB, expected at most {MAX_BYTES >> 20}"),
        ("header_offset", (1 << 63) + 5, "damaged: the archive has something else in its place"),
    ],
)
def test_impossible_numbers_in_a_zip_cost_one_image(tmp_path, field, value, reason):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(2):
            archive.writestr(f"{number}.png", picture(number))
        setattr(archive.filelist[0], field, value)
    source = open_source(tmp_path / "a.zip")
    with pytest.raises(ImageError, match=reason):
        source.load(0)
    assert shade(source, 1) == 1


def test_a_zip_that_lacks_a_piece_in_its_middle(tmp_path):
    path = make_zip(tmp_path / "a.zip", MEMBERS)
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + whole[90:])  # the first one then begins 30 bytes before the file
    source = open_source(path)
    with pytest.raises(ImageError, match="damaged"):
        source.load(0)
    assert [shade(source, index) for index in (1, 2, 3)] == [20, 30, 40]


def test_an_impossible_size_in_a_tar(tmp_path):
    whole = make_tar(tmp_path / "a.tar", MEMBERS[:1], tarfile.GNU_FORMAT).read_bytes()
    second = tarfile.TarInfo("2.png")
    second.size = 1 << 70
    end = 512 + -(-len(MEMBERS[0][1]) // 512) * 512
    (tmp_path / "a.tar").write_bytes(whole[:end] + second.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    source = open_source(tmp_path / "a.tar")
    assert len(source.items) == 1
    assert "damaged or cut after 1 files (a file in it has a size" in source.notes[0]


def test_the_largest_picture_is_not_too_large_to_be_read():
    assert 3 * 2 * MAX_PIXELS < MAX_BYTES  # RGB of 16 bits, not compressed


def test_why_an_archive_cannot_be_opened_names_no_path(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "isfile", lambda path: True)  # it is gone a moment later
    with pytest.raises(SourceError, match=r"^'a\.tar' cannot be read: No such file or directory$"):
        LocalStorage(tmp_path).open("a.tar")


def test_no_archive_at_all(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"hello" * 1000)
    (tmp_path / "b.tar.gz").write_bytes(b"")
    with pytest.raises(SourceError, match=r"a\.tar is not an archive that can be read"):
        open_source(tmp_path / "a.tar")
    with pytest.raises(SourceError, match=r"b\.tar\.gz is compressed as a whole.*'gzip -dk' makes a \.tar"):
        open_source(tmp_path / "b.tar.gz")
    with pytest.raises(InputError, match="columns are those of a table"):
        open_source(make_zip(tmp_path / "a.zip", MEMBERS), label_column="x")


# --- shards -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path):
    root = tmp_path / "shards"
    root.mkdir()
    for shard in range(3):
        members: list[tuple[str, bytes]] = []
        for key in range(4):
            number = 4 * shard + key
            label = (("cls", str(key).encode()), ("json", json.dumps({"label": f"j{key}"}).encode()), ("txt", b"t\n"))
            members += [(f"{number:04}.png", picture(number)), (f"{number:04}.{label[shard][0]}", label[shard][1])]
        make_tar(root / f"{shard:04}.tar", members)
    return root


def test_shards_by_folder_pattern_and_braces(shards):
    expected = [(f"{n // 4:04}.tar/{n:04}.png", [str(n % 4), f"j{n % 4}", "t"][n // 4], None, n) for n in range(12)]
    for pattern in (shards, shards / "*.tar", shards / "{0000..0002}.tar", f"{shards}/{{0000,0001,0002}}.tar"):
        source = open_source(pattern)
        assert described(source) == expected
        assert (source.kind, source.name) == ("archive", "shards")
        assert source.ignored == 0  # the labels come from all other files
    assert open_source(shards / "000[1].tar").items[0].id == "0001.tar/0004.png"
    with pytest.raises(SourceError, match=r"2 of 5 files are missing in 'shards'; the first: 0003\.tar"):
        open_source(shards / "{0000..0004}.tar")
    with pytest.raises(SourceError, match=r"no archive, table or annotations in 'shards' is called 'x\*\.tar'"):
        open_source(shards / "x*.tar")


@pytest.mark.parametrize("names", ["{%s/0000,%s/0001}.tar", "%s/{0000,../shards/0001}.tar"])
def test_braces_do_not_lead_out_of_a_folder(shards, names):
    with pytest.raises(SourceError, match=r"are not below one folder: write the folder before the braces, as in"):
        open_source(names.replace("%s", str(shards)))


def test_a_pattern_passes_over_texts_beside_shards(shards):
    """An export as WebDataset names its classes in a file beside its shards."""
    for name in ("classes.txt", "info.json"):
        (shards / name).write_text("{}")
    source = open_source(shards / "*")
    assert source.kind == "archive"
    assert [item.id for item in source.items] == [item.id for item in open_source(shards).items]


def test_a_pattern_as_windows_writes_it(shards, monkeypatch):
    pattern = f"{shards}/*.tar".replace("/", "\\")
    monkeypatch.setattr(os, "sep", "\\")
    assert len(open_source(pattern).items) == 12


def test_a_copy_in_another_process_opens_the_archives_itself(tmp_path, shards):
    for path in (make_tar(tmp_path / "a.tar", MEMBERS), make_zip(tmp_path / "a.zip", MEMBERS), shards):
        source = open_source(path)
        assert described(pickle.loads(pickle.dumps(source))) == described(source)
        assert shade(pickle.loads(pickle.dumps(select(source, [2]))), 0) == shade(source, 2)


def test_shards_named_after_splits(tmp_path):
    for name in ("train-0000.tar", "val-0000.tar"):
        make_tar(tmp_path / name, [("a.png", picture(1))])
    source = open_source(tmp_path)
    assert [(item.id, item.split) for item in source.items] == [
        ("train-0000.tar/a.png", "train"),
        ("val-0000.tar/a.png", "val"),
    ]


def test_many_threads_read_one_archive(tmp_path):
    members = [(f"{number:03}.png", picture(number)) for number in range(200)]
    for path in (make_tar(tmp_path / "a.tar", members), make_zip(tmp_path / "a.zip", members)):
        source = open_source(path)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda index, of=source: shade(of, index), range(200))) == list(range(200))


def test_large_jpegs_inside_are_decoded_reduced(tmp_path):
    large = encoded(Image.new("RGB", (1600, 800)), "JPEG")
    image = open_source(make_zip(tmp_path / "a.zip", [("a.jpg", large)])).load_reduced(0, (10, 10))
    assert (image.pixels.shape, image.size) == ((200, 400, 3), (1600, 800))


def test_an_archive_written_again_elsewhere_embeds_nothing_again(tmp_path):
    encoder = Encoder("mini", batch_size=4)
    path = make_tar(tmp_path / "a.tar", MEMBERS)
    assert embed_source(open_source(path), tmp_path / "c", encoder).embedded == 4
    make_tar(path, [*MEMBERS[1:], ("train/cow/9.png", picture(90))])
    summary = embed_source(open_source(path), tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused, summary.removed) == (1, 3, 1)


def test_json_of_one_sample_that_cannot_be_costs_its_label(tmp_path):
    deep, half = b'{"label": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", b'{"label": "\\ud800", "caption": "a \\udfff b"}'
    members = [("1.png", picture(1)), ("1.json", deep), ("2.png", picture(2)), ("2.json", half)]
    items = open_source(make_tar(tmp_path / "a.tar", members)).items
    assert [(item.label, item.caption) for item in items] == [(None, None), ("\\ud800", "a \\udfff b")]


def _sample(name, label=None, caption=None):
    return [(f"{name}.png", picture(1))] + [
        (f"{name}.{suffix}", text.encode()) for suffix, text in (("cls", label), ("txt", caption)) if text is not None
    ]


def _said(path, members):
    source = open_source(make_tar(path, members))
    return [(item.label, item.caption) for item in source.items], " ".join(source.notes)


def test_a_dot_in_a_key_is_a_part_of_it_where_the_label_files_say_so(tmp_path):
    members = [*_sample("clip_0.05", "cat"), *_sample("clip_0.15", "dog"), *_sample("clip_0.25")]
    labels, notes = _said(tmp_path / "dots.tar", members)
    assert (labels, notes) == ([("cat", None), ("dog", None), (None, None)], "")
    pair = [("s0.left.png", picture(1)), ("s0.right.png", picture(2))]
    labels, notes = _said(tmp_path / "pair.tar", [*pair, ("s0.cls", b"cat")])
    assert labels == [("cat", None)] * 2
    assert "share a .cls file, as WebDataset has it" in notes
    assert _said(tmp_path / "field.tar", [*pair, ("s0.class.cls", b"cat")])[0] == [("cat", None)] * 2
    own = [("s0.left.cls", b"left"), ("s0.cls", b"both")]
    assert _said(tmp_path / "own.tar", [*pair, *own])[0] == [("left", None), ("both", None)]
    assert _said(tmp_path / "longer.tar", [*_sample("a"), ("a.class.cls", b"x")])[0] == [("x", None)]


def test_captions_are_no_labels(tmp_path):
    captions = [f"a photo of thing number {number} on a table" for number in range(3)]
    members = [each for number, text in enumerate(captions) for each in _sample(f"{number}", caption=f"{text}\n")]
    labels, notes = _said(tmp_path / "captions.tar", members)
    assert labels == [(None, text) for text in captions]
    assert "are captions (3 different ones for 3 images, 36 letters on average)" in notes
    short = [each for number in range(3) for each in _sample(f"{number}", caption=f"class {number}")]
    assert _said(tmp_path / "short.tar", short)[0] == [(f"class {number}", None) for number in range(3)]
    same = [each for number in range(3) for each in _sample(f"{number}", caption=captions[0])]
    assert _said(tmp_path / "same.tar", same)[0] == [(captions[0], None)] * 3  # one label of many images
    both = [each for number in range(3) for each in _sample(f"{number}", "cat", captions[number])]
    assert _said(tmp_path / "both.tar", both)[0] == [("cat", text) for text in captions]


def said(path) -> list[tuple[str, object, str | None]]:
    return [(item.id, item.labels or item.label, item.split) for item in open_source(path).items]


def test_a_drive_of_windows_is_no_folder(tmp_path):
    make_zip(tmp_path / "a.zip", [("C:\\pets\\cat\\1.png", picture(1)), ("C:/pets/dog/2.png", picture(2))])
    assert said(tmp_path / "a.zip") == [("pets/cat/1.png", "cat", None), ("pets/dog/2.png", "dog", None)]


def test_archives_in_an_archive_are_told(tmp_path):
    make_zip(tmp_path / "inner.zip", [("cat/1.png", picture(1))])
    make_zip(tmp_path / "outer.zip", [("pets/inner.zip", (tmp_path / "inner.zip").read_bytes())])
    with pytest.raises(SourceError, match=r"no images in 'outer.zip' \(1 .zip\); it holds other archives: unpack it"):
        open_source(tmp_path / "outer.zip")


def test_what_files_of_webdataset_say(tmp_path):
    members: list[tuple[str, bytes]] = []
    for key, suffix, text in (
        ("a", "json", '{"labels": ["cat", "dog"], "split": "test"}'),
        ("b", "json", '{"label": "cat", "split": "a part"}'),
        ("c", "cls", "3\n5\n"),
        ("d", "json", '{"tags": []}'),
    ):
        members += [(f"{key}.png", picture(1)), (f"{key}.{suffix}", text.encode())]
    make_tar(tmp_path / "a.tar", members)
    assert said(tmp_path / "a.tar") == [
        ("a.png", ("cat", "dog"), "test"),
        ("b.png", ("cat",), None),
        ("c.png", ("3", "5"), None),
        ("d.png", None, None),
    ]


def test_short_captions_are_no_labels(tmp_path):
    texts = ("a cat", "a dog on grass", "two cats and a dog", "the house of my aunt")
    make_tar(
        tmp_path / "a.tar",
        [
            (f"{n}.{e}", picture(n) if e == "png" else text.encode())
            for n, text in enumerate(texts)
            for e in ("png", "txt")
        ],
    )
    source = open_source(tmp_path / "a.tar")
    assert [(item.label, item.caption) for item in source.items] == [(None, text) for text in texts]


def test_a_table_beside_images_is_pointed_at(tmp_path):
    for name in ("images/1.png", "images/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture(1))
    (tmp_path / "labels.csv").write_text("file_name,label\nimages/1.png,cat\n")
    told = "labels.csv is not read: if it names the images and their labels, name it instead of the folder"
    assert told in open_source(tmp_path).notes
    (tmp_path / "images" / "1.png").rename(tmp_path / "1.png")
    (tmp_path / "cat").mkdir()
    (tmp_path / "1.png").rename(tmp_path / "cat" / "1.png")
    assert told not in open_source(tmp_path).notes  # the folders say what they are


def test_archives_called_after_what_is_in_them(tmp_path):
    for name in ("cats.zip", "dogs.zip"):
        make_zip(tmp_path / name, [("1.png", picture(1))])
    assert said(tmp_path) == [("cats.zip/1.png", "cats", None), ("dogs.zip/1.png", "dogs", None)]
    make_zip(tmp_path / "birds.zip", [("owl/1.png", picture(1)), ("tit/2.png", picture(2))])
    assert [label for _, label, _ in said(tmp_path)] == ["owl", "tit", None, None]  # folders say what they are
    for first, second in (("photos-1.zip", "photos-2.zip"), ("000.zip", "001.zip"), ("train.zip", "test.zip")):
        for file in tmp_path.glob("*.zip"):
            file.unlink()
        for name in (first, second):
            make_zip(tmp_path / name, [("1.png", picture(1))])
        assert {label for _, label, _ in said(tmp_path)} == {None}
