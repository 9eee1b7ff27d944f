"""Sources on other machines, against a server that speaks S3's protocol on this one."""

from __future__ import annotations

import json
import logging
import pickle
import re
import shlex
from types import SimpleNamespace
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import ImageError, SourceError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.filesystems import open_storage
from dinoscope.sources.opening import open_source
from dinoscope.storage.tables import read_table
from tests import ROOT
from tests.sources.archives.test_archive import MEMBERS, described, make_tar, make_zip, picture

SECRET = "wJalrXUtnFEMI/K7MDENG+key"


@pytest.fixture(scope="module")
def address():
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(address, monkeypatch):
    """An empty bucket, and how a file is put into it."""
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    from pyarrow.fs import S3FileSystem

    with urlopen(Request(f"{address}/moto-api/reset", method="POST")):
        pass
    with urlopen(Request(f"{address}/photos", method="PUT")):
        pass
    system = S3FileSystem(endpoint_override=address, region="us-east-1")

    def put(name: str, content: bytes) -> None:
        with system.open_output_stream(f"photos/{name}") as file:
            file.write(content)

    return put


@pytest.fixture
def both(bucket, tmp_path):
    """The same pictures in a folder and in the bucket."""
    for name, content in [
        *MEMBERS,
        ("train/cat/sp ace #1.png", picture(77)),
        ("train/.hidden.png", b""),
        ("a.txt", b""),
    ]:
        bucket(f"set/{name}", content)
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    return tmp_path / "set"


def test_the_same_collection_as_from_disk(both, tmp_path):
    encoder = Encoder("mini", batch_size=2)
    embed_source(open_source(both), tmp_path / "disk", encoder)
    embed_source(open_source("s3://photos/set"), tmp_path / "bucket", encoder)
    disk, remote = Collection(tmp_path / "disk"), Collection(tmp_path / "bucket")
    np.testing.assert_array_equal(disk.vectors, remote.vectors)
    for name in ("rows", "ids", "labels", "splits"):
        assert list(getattr(disk, name)) == list(getattr(remote, name))
    assert (disk.name, disk.kind) == (remote.name, remote.kind) == ("set", "folder")
    assert disk.thumbnails(range(5)) == remote.thumbnails(range(5))
    # and one can go on where the other stopped: the pictures are known by their bytes
    summary = embed_source(open_source("s3://photos/set"), tmp_path / "disk", encoder)
    assert (summary.embedded, summary.reused, summary.removed) == (0, 5, 0)


def test_archives_and_tables_are_read_where_they_lie(bucket, tmp_path):
    for make, name in ((make_tar, "a.tar"), (make_zip, "a.zip")):
        path = make(tmp_path / name, MEMBERS)
        bucket(f"archives/{name}", path.read_bytes())
        assert described(open_source(f"s3://photos/archives/{name}")) == described(open_source(path))
    bucket("shards/0.tar", (tmp_path / "a.tar").read_bytes())
    for uri in ("s3://photos/shards", "s3://photos/shards/*.tar", "s3://photos/shards/{0..0}.tar"):
        assert len(open_source(uri).items) == 4
    pq.write_table(pa.table({"image": [picture(n) for n in range(3)], "label": [1, 2, 3]}), tmp_path / "t.parquet")
    bucket("tables/t.parquet", (tmp_path / "t.parquet").read_bytes())
    for uri in ("s3://photos/tables/t.parquet", "s3://photos/tables"):
        assert [shade for *_, shade in described(open_source(uri))] == [0, 1, 2]
    bucket("csv/1.png", picture(5))
    bucket("csv/t.csv", b"path,label\n1.png,x\n2.png,y\n")
    source = open_source("s3://photos/csv/t.csv")
    assert (source.items[0].label, source.load(0)[0, 0, 0]) == ("x", 5)
    with pytest.raises(ImageError, match="cannot be read"):
        source.load(1)


def test_patterns_of_folders_and_names_with_marks(bucket, tmp_path):
    shard = make_tar(tmp_path / "0.tar", MEMBERS).read_bytes()
    for name in ("train/0.tar", "val/0.tar", "[1]/2.tar", "set/{3}.tar"):
        bucket(name, shard)
    ids = [f"{split}/0.tar/{name}" for split in ("train", "val") for name, _ in MEMBERS]
    for uri in ("s3://photos/{train,val}/0.tar", "s3://photos/*/0.tar"):
        assert [item.id for item in open_source(uri).items] == ids
    source = open_source("s3://photos/[1]")
    assert (source.name, source.items[0].id) == ("[1]", "2.tar/test/cat/1.png")
    assert open_source("s3://photos/set/{3}.tar").items[0].id == "test/cat/1.png"
    assert open_source("s3://photos/[1]/2.tar").items[0].id == "test/cat/1.png"
    copied = pickle.loads(pickle.dumps(source))
    assert described(copied) == described(source)
    with pytest.raises(SourceError, match=r"no archive, table or annotations in 'photos' is called '\[xy\]/\*\.tar'"):
        open_source("s3://photos/[xy]/*.tar")


def test_a_pattern_where_nobody_may_look_around(monkeypatch):
    def refuse(path):
        raise OSError("AWS Error ACCESS_DENIED")

    system = SimpleNamespace(from_uri=lambda uri: (SimpleNamespace(get_file_info=refuse), "bucket/set/{0..1}.tar"))
    monkeypatch.setattr("pyarrow.fs.FileSystem", system)
    storage, file, pattern = open_storage("s3://bucket/set/{0..1}.tar")
    assert (storage.name, file, pattern) == ("set", None, "{0..1}.tar")
    with pytest.raises(SourceError, match=r"cannot open s3://bucket/set: AWS Error ACCESS_DENIED"):
        open_storage("s3://bucket/set")


def test_reasons_that_are_stored_tell_no_path_of_this_machine(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    make_tar(root / "a.tar", MEMBERS)
    (root / "b.png").write_bytes(picture(1))
    archive, folder = open_source((root / "a.tar").as_uri()), open_source(root.as_uri())
    copied = pickle.dumps(archive)
    for path in list(root.iterdir()):
        path.unlink()
    with pytest.raises(ImageError, match=r"cannot be read: .*'set/b\.png'.*No such file") as gone:
        folder.load(0)
    with pytest.raises(ImageError, match=r"cannot be read: .*'set/a\.tar'.*No such file") as gone_archive:
        pickle.loads(copied).load(0)
    for caught in (gone, gone_archive):
        assert str(tmp_path) not in str(caught.value)


def test_no_credentials_anywhere(both, address, tmp_path, run, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    user = f"AKIAIOSFODNN7EXAMPLE:{SECRET.replace('/', '%2F').replace('+', '%2B')}"
    query = f"?endpoint_override={address}&region=us-east-1"
    texts = []
    for uri, expected in (
        (f"s3://{user}@photos/set{query}", 0),
        (f"s3://{user}@photos/nothing{query}", 1),
        (f"s3://{user}@no-bucket/set{query}", 1),
        (f"s3://{user}@photos/set{query}&nonsense=1", 1),
        (f"s3://{user}@photos/set?endpoint_override=http://127.0.0.1:9", 1),
        (f"ftp://{user}@photos/set", 1),
    ):
        code, out, err = run("embed", uri, "-o", tmp_path / "c")
        assert (code, expected == 0 or err.startswith("dinoscope: ")) == (expected, True)
        assert "Traceback" not in err
        texts += [out, err]
    assert (tmp_path / "c" / "collection.json").exists()
    held = b"".join(path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file())
    assert json.loads((tmp_path / "c" / "collection.json").read_text())["source"]["name"] == "set"
    for secret in (SECRET, SECRET.split("/")[0], "AKIAIOSFODNN7EXAMPLE", "127.0.0.1"):
        assert secret.encode() not in held
        assert secret == "127.0.0.1" or not any(secret in text for text in texts)
    assert read_table(tmp_path / "c" / "images.parquet")[0]["id"][0] == "test/cat/1.png"


def test_uris_that_lead_nowhere(bucket):
    with pytest.raises(SourceError, match=r"nothing is at s3://photos/none: expected a folder"):
        open_source("s3://photos/none")
    with pytest.raises(SourceError, match=r"cannot open 's?http://x/y': expected s3://, gs://, hdfs:// or file://"):
        open_source("http://x/y")
    with pytest.raises(SourceError, match=r"'s3://' names no bucket: expected s3://BUCKET/PREFIX"):
        open_source("s3://")
    bucket("notes.txt", b"hello")
    with pytest.raises(SourceError, match=r"'notes\.txt' is a single file"):
        open_source("s3://photos/notes.txt")
    bucket("empty/notes.txt", b"hello")
    with pytest.raises(SourceError, match=r"no images in 'empty' \(1 \.txt\)"):
        open_source("s3://photos/empty")


def test_files_by_uri(both):
    source = open_source(both.as_uri())
    assert described(source) == described(open_source(both))
    assert [item.key for item in source.items] == [item.key for item in open_source(both).items]


def test_an_object_that_vanishes_is_one_failure(both, address):
    source = open_source("s3://photos/set")
    with urlopen(Request(f"{address}/photos/set/test/cat/1.png", method="DELETE")):
        pass
    with pytest.raises(ImageError, match=r"cannot be read: (.*)") as caught:
        source.load(0)
    assert not re.search(r"AKIA|wJal", str(caught.value))
    assert source.load(1).shape == (6, 8, 3)


def test_the_examples_of_the_page_run(bucket, tmp_path, monkeypatch, run):
    """Every command and the Python block of docs/sources.md, in a folder with what they name."""
    text = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in MEMBERS:
        bucket(f"photos/{name}", content)
    bucket("photos.tar", make_tar(tmp_path / "photos.tar", MEMBERS).read_bytes())
    make_zip(tmp_path / "photos.zip", MEMBERS)
    for folder in ("shards", "food101", "saved"):
        (tmp_path / folder).mkdir()
    for shard in range(2):
        make_tar(tmp_path / "shards" / f"{shard:04}.tar", [("7.png", picture(shard)), ("7.cls", b"3")])
    table = pa.table({"image": [picture(n) for n in range(3)], "label": [1, 2, 3]})
    pq.write_table(table, "table.parquet")
    pq.write_table(table, "food101/train-00000-of-00001.parquet")
    with pa.OSFile("saved/data-00000-of-00001.arrow", "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    (tmp_path / "1.png").write_bytes(picture(1))
    (tmp_path / "camera").mkdir()
    (tmp_path / "camera" / "1.png").write_bytes(picture(1))
    np.save(tmp_path / "clip.npy", np.eye(len(MEMBERS)))
    (tmp_path / "list.csv").write_text("file;species\n1.png;fox\n")
    (tmp_path / "pictures.csv").write_text("file,species,split\n1.png,fox,train\n")
    # the bucket's name is the reader's
    commands = [
        line.replace("my-bucket", "photos") for line in re.findall(r"^dinoscope (embed .*)$", text, re.MULTILINE)
    ]
    assert len(commands) == 14
    said = ""
    for command in commands:
        code, _, err = run(*shlex.split(command))
        assert code == 0, (command, err)
        said += err
    assert re.findall(r"^image column: .*$", text, re.MULTILINE)[0] in said
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "sources.md", "exec"), {})
    assert Collection(tmp_path / "from-python.dino").labels.tolist() == ["fox"]
    assert Collection(tmp_path / "framed.dino").labels.tolist() == ["fox", "owl"]
    for name in ("own", "own-vectors"):
        assert Collection(tmp_path / f"{name}.dino").model["model"] == "own:clip"
    assert Collection(tmp_path / "shards.dino").labels.tolist() == ["3", "3"]
