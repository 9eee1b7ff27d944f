"""Files of a selection: a ZIP that is made while it is sent, and copies where the server may make some."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.explorer import copying, packing
from dinoscope.explorer.copying import CopyPlace
from dinoscope.explorer.packing import pack_files
from dinoscope.explorer.sheets import Originals
from dinoscope.models.encoder import Encoder
from dinoscope.server.security import Access
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.opening import open_source
from tests.pictures import encoded, photo
from tests.served import client, images, make_collection

NAMES = ("a/one.jpg", "a/two.jpg", "b/deep/one.jpg", "b/ö.jpg", "c.png")
posix = pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    for number, name in enumerate(NAMES):
        file = place / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(photo(100 + 10 * number), "PNG" if name.endswith("png") else "JPEG"))
        os.utime(file, (1_000_000_000, 1_000_000_000))
    embed_source(FolderSource(place / "photos"), place / "c", Encoder("mini"))
    return place


@pytest.fixture
def place(made, tmp_path):
    """The photographs and their collection, for one test alone."""
    for name in ("photos", "c"):
        shutil.copytree(made / name, tmp_path / name)
    (tmp_path / "out").mkdir()
    return tmp_path


def opened(place: Path, copies: bool = False, **settings):
    images = place / "photos"
    allowed = CopyPlace(images, place / "out") if copies else None
    return client(place / "c", originals=Originals(FolderSource(images)), copies=allowed, **settings)


def base(server) -> str:
    return f"/api/models/{server.get('/api/collection').json()['model']}"


def fetched(server, rows, name="mine") -> tuple[dict[str, Any], zipfile.ZipFile]:
    told = server.post(f"{base(server)}/files", json={"rows": rows}).json()
    answer = server.get(f"{base(server)}/files/{told['key']}?name={name}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.zip"'
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None
    return told, packed


def test_a_zip_holds_the_files_as_they_are_in_their_folders(place):
    with opened(place) as server:
        told, packed = fetched(server, [4, 0, 1, 2, 3, 0])
    held = {name: (place / "photos" / name).read_bytes() for name in NAMES}
    assert {name: packed.read(name) for name in packed.namelist()} == held
    assert (told["files"], told["missing"]) == (5, 0)
    assert told["bytes"] == sum(map(len, held.values()))
    assert {info.date_time[:3] for info in packed.infolist()} == {(2001, 9, 9)}


def test_a_zip_names_what_it_leaves_out(place):
    photos = place / "photos"
    (photos / "a/one.jpg").unlink()
    (photos / "a/two.jpg").write_bytes(b"another picture")
    (photos / "b/ö.jpg").rename(photos / "b/new.jpg")
    with opened(place) as server:
        told, packed = fetched(server, [0, 1, 2, 3, 4])
    assert (told["files"], told["missing"]) == (3, 2)  # nothing is read to tell that
    assert sorted(packed.namelist()) == ["b/deep/one.jpg", "c.png", "left out.txt"]
    text = packed.read("left out.txt").decode()
    assert text.splitlines()[0] == "3 of 5 images are not in this ZIP as they were embedded:"
    assert "a/one.jpg: is not there\n" in text
    assert "a/two.jpg: is not what it was when the collection was made\n" in text
    assert "b/ö.jpg: is not there\n" in text


@pytest.mark.parametrize(
    ("at_once", "reason"), [(1 << 20, "is not what it was"), (10, "was changed while it was read")]
)
def test_a_file_that_changes_while_it_is_sent_is_told(place, monkeypatch, at_once, reason):
    monkeypatch.setattr(packing, "_AT_ONCE", at_once)
    path, content = FolderSource.path, FolderSource.content

    def change(self, index):
        if self.items[index].id == "c.png":
            (place / "photos/c.png").write_bytes(b"\x89PNG another picture")

    def just_before(self, index):
        change(self, index)
        return path(self, index)

    def just_after(self, index):
        found = content(self, index)
        change(self, index)
        return found

    with opened(place) as server:
        monkeypatch.setattr(FolderSource, *(("content", just_after) if at_once == 10 else ("path", just_before)))
        _, packed = fetched(server, [0, 1, 2, 3, 4])
    assert f"c.png: {reason}" in packed.read("left out.txt").decode()
    assert packed.read("b/ö.jpg") == (place / "photos/b/ö.jpg").read_bytes()


def test_a_large_file_is_known_by_its_size_and_time(place, monkeypatch):
    monkeypatch.setattr("dinoscope.sources.base.WHOLE_BYTES", 10)
    monkeypatch.setattr("dinoscope.sources.pixels.decode.WHOLE_BYTES", 10)
    path = make_collection(place / "large", FolderSource(place / "photos"), "mini")
    originals = Originals(FolderSource(place / "photos"))
    collection = Collection(path)
    assert collection.contents[4] == collection.content_keys[4]  # there is no digest of its bytes
    os.utime(place / "photos/c.png")  # after the server has listed its files
    with zipfile.ZipFile(io.BytesIO(b"".join(pack_files(collection, originals, [3, 4])))) as packed:
        assert packed.namelist() == ["b/ö.jpg", "left out.txt"]


def test_names_in_a_zip_lead_nowhere_and_differ(place):
    collection = Collection(place / "c")
    collection.ids[:] = ["../../evil.jpg", "/etc/evil.jpg", "A.jpg", "a.jpg", "CON"]
    originals = Originals(FolderSource(place / "photos"))
    for at, name in enumerate(collection.ids):
        originals._by_id[name] = at
    with zipfile.ZipFile(io.BytesIO(b"".join(pack_files(collection, originals, range(5))))) as packed:
        assert packed.namelist() == ["evil.jpg", "etc/evil.jpg", "A.jpg", "a (2).jpg", "_CON"]


def test_pictures_without_files_are_packed_too(tmp_path):
    path = make_collection(tmp_path / "c", images(4), "mini-fashion")
    with client(path, originals=Originals(images(4))) as server:
        told, packed = fetched(server, [0, 3])
    assert (told["files"], told["bytes"]) == (2, None)  # how long a PNG becomes is not known before it is made
    assert all(packed.read(name).startswith(b"\x89PNG") and name.endswith(".png") for name in packed.namelist())


def test_members_of_an_archive_are_packed_as_they_are(place):
    with zipfile.ZipFile(place / "photos.zip", "w") as archive:
        for name in NAMES:
            archive.write(place / "photos" / name, name)
    path = make_collection(place / "zipped", open_source(place / "photos.zip"), "mini")
    with client(path, originals=Originals(open_source(place / "photos.zip"))) as server:
        told, packed = fetched(server, [0, 1, 2, 3, 4])
    held = {name: (place / "photos" / name).read_bytes() for name in NAMES}
    assert {name: packed.read(name) for name in packed.namelist()} == held
    assert told["bytes"] == sum(map(len, held.values()))


def tables(place: Path) -> dict[str, Path]:
    """The same photographs as every kind of source that holds files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = [(place / "photos" / name).read_bytes() for name in NAMES]
    numbers = list(range(len(files)))
    made = {name: place / f"source.{name}" for name in ("zip", "tar", "csv")}
    with zipfile.ZipFile(made["zip"], "w", zipfile.ZIP_DEFLATED) as packed, tarfile.open(made["tar"], "w") as tar:
        for name in NAMES:
            packed.write(place / "photos" / name, name)
            tar.add(place / "photos" / name, name)
    made["csv"].write_text("path\n" + "".join(f"photos/{name}\n" for name in NAMES))
    plain = pa.table({"number": numbers, "image": files})
    struct = pa.table({"number": numbers, "image": [{"bytes": each, "path": None} for each in files]})
    for kind, table in (("plain", plain), ("struct", struct)):
        made[kind] = place / f"{kind}.parquet"
        pq.write_table(table, made[kind], row_group_size=3)
    made["arrow"] = place / "source.arrow"
    with pa.ipc.new_stream(made["arrow"], plain.schema) as stream:
        stream.write_table(plain, 3)
    return {"folder": place / "photos", **made}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "csv", "plain", "struct", "arrow"])
def test_the_size_that_is_told_is_that_of_the_zip(place, kind):
    source = open_source(tables(place)[kind])
    path = make_collection(place / "sized", source, "mini")
    with client(path, originals=Originals(source)) as server:
        rows = list(range(len(NAMES)))
        told = server.post(f"{base(server)}/files", json={"rows": rows}).json()
        sent = server.get(f"{base(server)}/files/{told['key']}").content
    assert (told["files"], told["missing"]) == (len(NAMES), 0)
    assert told["bytes"] == pytest.approx(
        len(sent) - 250 * len(NAMES), rel=0.03
    )  # a ZIP says twice what each is called


def test_a_large_parquet_is_no_larger_for_being_read_in_groups(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"image": [encoded(photo(20 + n % 90), "PNG") + bytes([n]) for n in range(60)]}),
        tmp_path / "p.parquet",
    )
    source = open_source(tmp_path / "p.parquet")
    pictures = [source.picture(index) for index in range(60)]
    total = sum(len(each) for each in pictures if isinstance(each, bytes))
    assert sum(source.file_size(index) or 0 for index in range(60)) == pytest.approx(total, rel=0.05)


def test_each_file_is_read_once_in_the_order_of_its_source(place, monkeypatch):
    source = open_source(tables(place)["plain"])
    path = make_collection(place / "read", source, "mini")
    collection, originals, read = Collection(path), Originals(source), list[int]()
    picture = type(source).picture

    def noted(self, index):
        read.append(index)
        return picture(self, index)

    monkeypatch.setattr(type(source), "picture", noted)
    b"".join(pack_files(collection, originals, [4, 1, 3, 0, 2]))
    assert read == [0, 1, 2, 3, 4]


def test_a_zip_can_be_stopped_after_each_file_that_is_left_out(place):
    collection = Collection(place / "c")
    shutil.rmtree(place / "photos/a")
    pieces = pack_files(collection, Originals(FolderSource(place / "photos")), [0, 1, 2])
    assert next(pieces) == b""
    assert next(pieces) == b""


def test_images_that_a_table_lists_twice_are_packed_and_copied(place):
    (place / "photos/list.csv").write_text("path\nc.png\nc.png\n")
    source = open_source(place / "photos/list.csv")
    path = make_collection(place / "twice", source, "mini")
    assert Collection(path).ids.tolist() == ["c.png", "c.png#2"]
    allowed = CopyPlace(place / "photos", place / "out")
    with client(path, originals=Originals(source), copies=allowed) as server:
        _, packed = fetched(server, [0, 1])
        told = server.post(f"{base(server)}/copies", json={"rows": [0, 1], "folder": "x"}).json()
    held = (place / "photos/c.png").read_bytes()
    assert {name: packed.read(name) for name in packed.namelist()} == {"c.png": held, "c#2.png": held}
    assert (told["done"], told["stayed"]) == (2, 0)
    assert {file.name: file.read_bytes() for file in (place / "out/x").iterdir()} == {"c.png": held, "c#2.png": held}


def test_a_renamed_file_is_packed_and_copied_once_it_was_found(place):
    held = (place / "photos/c.png").read_bytes()
    (place / "photos/c.png").rename(place / "photos/new.png")
    originals = Originals(FolderSource(place / "photos"))
    assert originals.count_lost(Collection(place / "c")) == 0
    with client(place / "c", originals=originals, copies=CopyPlace(place / "photos", place / "out")) as server:
        _, packed = fetched(server, [4])
        told = server.post(f"{base(server)}/copies", json={"rows": [4], "folder": "x"}).json()
    assert packed.read("c.png") == held
    assert told["done"] == 1
    assert (place / "out/x/c.png").read_bytes() == held


@pytest.mark.parametrize("access", [Access.of("0.0.0.0"), Access.of("127.0.0.1", allowed=["photos.example"])])
def test_a_server_that_others_can_reach_gives_no_files(place, access):
    with opened(place) as server:
        assert server.get("/api/collection").json()["files"] is True
    with opened(place, access=access) as server:
        told = server.get("/api/collection").json()
        assert (told["originals"], told["files"]) == (True, False)
        answer = server.post(f"{base(server)}/files", json={"rows": [0]})
        assert answer.status_code == 403
        assert "without --host and --allow-host" in answer.json()["error"]
        assert server.get(f"{base(server)}/files/anything").status_code == 403


def test_a_zip_is_never_whole_in_memory(place):
    """Of 60 files of 2 MB no more is held than a few pieces."""
    photos = place / "photos"
    for number in range(60):
        (photos / f"large-{number}.png").write_bytes(encoded(photo(50 + number), "PNG") + os.urandom(2_000_000))
    path = make_collection(place / "large", FolderSource(photos), "mini")
    collection, originals = Collection(path), Originals(FolderSource(photos))
    tracemalloc.start()
    sent = sum(map(len, pack_files(collection, originals, collection.rows.tolist())))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent > 120_000_000
    assert most < 3_000_000


def test_without_originals_there_is_no_zip(place):
    with client(place / "c") as server:
        answer = server.post(f"{base(server)}/files", json={"rows": [0]})
        assert answer.status_code == 409
        assert "--images" in answer.json()["error"]
        assert server.get(f"{base(server)}/files/anything").status_code == 404


def test_the_eight_selections_asked_for_last_are_kept(place):
    with opened(place) as server:
        keys = [server.post(f"{base(server)}/files", json={"rows": [0]}).json()["key"] for _ in range(9)]
        answers = [server.get(f"{base(server)}/files/{key}").status_code for key in keys]
    assert answers == [404] + [200] * 8


def test_files_are_copied_told_of_and_taken_away(place):
    (place / "photos/c.png").write_bytes(b"another picture")
    with opened(place, copies=True) as server:
        assert server.get("/api/collection").json()["copiesTo"] == "out"
        asked = {"rows": [0, 2, 4, 2], "folder": "schöne/Bilder"}
        told = server.post(f"{base(server)}/copies", json=asked).json()
        assert (told["folder"], told["done"], told["there"], told["stayed"]) == ("schöne-Bilder", 2, 0, 1)
        assert told["reasons"] == [{"name": "c.png", "reason": "is not what it was when the collection was made"}]
        into = place / "out/schöne-Bilder"
        for name in ("a/one.jpg", "b/deep/one.jpg"):
            assert (into / name).read_bytes() == (place / "photos" / name).read_bytes()
        assert (place / "out" / told["journal"]).is_file()
        again = server.post(f"{base(server)}/copies", json=asked).json()
        assert (again["done"], again["there"], again["journal"], again["key"]) == (0, 2, None, None)
        (into / "a/one.jpg").write_bytes(b"painted over")
        undone = server.delete(f"{base(server)}/copies/{told['key']}").json()
        assert (undone["done"], undone["stayed"]) == (1, 1)
        assert undone["reasons"] == [{"name": "a/one.jpg", "reason": "was changed since"}]
        assert [str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()] == [
            os.path.join("a", "one.jpg")
        ]
        assert undone["key"] == told["key"]  # what stayed may be taken away later
        (into / "a/one.jpg").write_bytes((place / "photos/a/one.jpg").read_bytes())
        undone = server.delete(f"{base(server)}/copies/{told['key']}").json()
        assert (undone["done"], undone["stayed"], undone["key"]) == (1, 0, None)
        assert server.delete(f"{base(server)}/copies/{told['key']}").status_code == 404
        assert server.get(f"{base(server)}/copies").json() is None


def test_copies_are_undone_once_also_without_their_collection(place):
    with opened(place, copies=True) as server:
        at = base(server)
        told = server.post(f"{at}/copies", json={"rows": [0, 1, 2], "folder": "x"}).json()
        (place / "c").rename(place / "moved")
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: server.delete(f"{at}/copies/{told['key']}"), range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    assert [answer.json()["done"] for answer in answers if answer.status_code == 200] == [3]
    assert not (place / "out/x").exists()


def test_what_is_in_the_way_is_told_without_a_path(place, monkeypatch, caplog):
    from dinoscope.filing.planning import propose

    def meanwhile(action, root, into, *rest, **settings):
        found = propose(action, root, into, *rest, **settings)
        into.mkdir()
        (into / "a").write_bytes(b"a file")
        (into / "c.png").write_bytes(b"another file")
        return found

    monkeypatch.setattr(copying, "propose", meanwhile)
    with opened(place, copies=True) as server:
        told = server.post(f"{base(server)}/copies", json={"rows": [0, 4], "folder": "x"}).json()
    assert told["reasons"] == [
        {"name": "a/one.jpg", "reason": "a file is where its folder should be"},
        {"name": "c.png", "reason": "there is something else at its place"},
    ]
    assert (told["done"], told["key"]) == (0, None)
    assert f"dinoscope sort --undo {place / 'out' / told['journal']}" in caplog.text


def test_a_file_that_cannot_be_read_does_not_blame_the_collection(place, monkeypatch):
    def failing(*_, **__):
        raise PermissionError(13, "Permission denied", str(place / "photos/c.png"))

    monkeypatch.setattr(copying, "propose", failing)
    with opened(place, copies=True) as server:
        shutil.rmtree(place / "photos")
        answer = server.post(f"{base(server)}/copies", json={"rows": [4], "folder": "x"})
    assert answer.status_code == 409
    assert answer.json()["error"] == "a file could not be read or written: the terminal of the server says why"


def test_nothing_is_overwritten(place):
    (place / "out/mine/a").mkdir(parents=True)
    (place / "out/mine/a/one.jpg").write_bytes(b"mine")
    with opened(place, copies=True) as server:
        told = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": "mine"}).json()
    assert told["done"] == 1
    assert (place / "out/mine/a/one.jpg").read_bytes() == b"mine"
    assert (place / "out/mine/a/one (2).jpg").read_bytes() == (place / "photos/a/one.jpg").read_bytes()


@pytest.mark.parametrize("folder", ["..", ".", "", " ", "../x/..", "a" * 201, "\x00"])
def test_no_name_leads_out_of_the_folder(place, folder):
    before = sorted(str(path) for path in place.rglob("*") if "results" not in str(path))
    with opened(place, copies=True) as server:
        answer = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": folder})
    after = sorted(str(path) for path in place.rglob("*") if "results" not in str(path))
    new = [path for path in after if path not in before]
    assert answer.status_code in (200, 422)
    assert (answer.status_code == 200) == bool(new)
    assert all(path.startswith(str(place / "out") + os.sep) for path in new)
    assert str(place) not in answer.text


@posix
def test_a_link_that_leads_elsewhere_is_refused(place):
    (place / "elsewhere").mkdir()
    (place / "out/link").symlink_to(place / "elsewhere")
    (place / "out/held").mkdir()
    (place / "out/held/a").symlink_to(place / "elsewhere")
    with opened(place, copies=True) as server:
        for folder in ("link", "held"):
            answer = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": folder})
            assert answer.status_code == 400
            assert answer.json()["error"] == f"{folder} holds a link that leads elsewhere: choose another name"
        told = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": "good"}).json()
        (place / "out/good/a/one.jpg").rename(place / "elsewhere/one.jpg")
        (place / "out/good/a").rmdir()
        (place / "out/good/a").symlink_to(place / "elsewhere")
        assert server.delete(f"{base(server)}/copies/{told['key']}").status_code == 400
    assert [path.name for path in (place / "elsewhere").iterdir()] == ["one.jpg"]


def test_a_collection_takes_no_copies(place):
    with client(place / "c", copies=CopyPlace(place / "photos", place)) as server:
        answer = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": "c"})
        assert answer.status_code == 400
        assert "is a collection" in answer.json()["error"]
        inside = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": "photos"})
        assert inside.status_code == 400
        assert "in the folder of the images" in inside.json()["error"]
        assert str(place) not in inside.text


def test_a_full_disk_is_one_reason_and_loses_nothing(place, small_disk):
    (small_disk / "filler").write_bytes(bytes(560_000))  # it has room for a journal, and for no picture
    (place / "photos/c.png").write_bytes(encoded(photo(100), "PNG") + os.urandom(200_000))
    path = make_collection(place / "new", FolderSource(place / "photos"), "mini")
    with client(path, copies=CopyPlace(place / "photos", small_disk)) as server:
        row = Collection(path).ids.tolist().index("c.png")
        asked = {"rows": [row], "folder": "new"}
        told = server.post(f"{base(server)}/copies", json=asked).json()
        assert (told["done"], told["stayed"]) == (0, 1)
        assert told["reasons"] == [{"name": "c.png", "reason": "No space left on device"}]
        assert {path.name for path in small_disk.rglob("*") if path.is_file()} == {"filler", told["journal"]}
        (small_disk / told["journal"]).unlink()
        with (small_disk / "more").open("wb", buffering=0) as more, contextlib.suppress(OSError):
            while more.write(bytes(4096)):
                more.flush()
        answer = server.post(f"{base(server)}/copies", json=asked)
        assert answer.status_code == 409
        assert "No space left on device" in answer.json()["error"]
        assert str(small_disk) not in answer.text
        assert sorted(path.name for path in small_disk.iterdir()) == ["filler", "more"]
        (small_disk / "filler").unlink()
        assert server.post(f"{base(server)}/copies", json=asked).json()["done"] == 1
        assert (small_disk / "new/c.png").read_bytes() == (place / "photos/c.png").read_bytes()


def test_a_server_that_was_not_started_for_it_copies_nothing(place):
    with opened(place) as server:
        assert server.get("/api/collection").json()["copiesTo"] is None
        answer = server.post(f"{base(server)}/copies", json={"rows": [0], "folder": "x"})
        assert answer.status_code == 403
        assert "--allow-copy" in answer.json()["error"]
        assert server.delete(f"{base(server)}/copies/x").status_code == 403
    with pytest.raises(Exception, match="--allow-copy"):
        opened(place, copies=True, read_only=True)
    assert list((place / "out").iterdir()) == []
