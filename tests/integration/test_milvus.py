import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.neighbors import neighbors
from dinoscope.errors import InputError, PublishError
from dinoscope.milvus import publish, published_name, search_published
from dinoscope.sources.datasets.named import load_dataset

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

# Kills its own process after so many requests that send images: in the middle, on every machine.
_KILLED = """
import os, signal, sys
from pymilvus import MilvusClient
from dinoscope import Collection, milvus

milvus._BATCH_BYTES, left, send = 4 * 256 * int(sys.argv[4]), int(sys.argv[3]), MilvusClient.upsert
def upsert(*args, **kwargs):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return send(*args, **kwargs)
MilvusClient.upsert = upsert
milvus.publish(Collection(sys.argv[1]), sys.argv[2])
"""


def images(count):
    """Fashion-MNIST's test images; beyond 10,000 also turned and mirrored."""
    dataset = load_dataset("fashion-mnist-test")
    pixels, labels = dataset.pixels, [item.label for item in dataset.items]
    turned = [pixels, pixels[:, ::-1], pixels[:, :, ::-1], pixels.transpose(0, 2, 1), pixels[:, ::-1, ::-1]]
    return np.concatenate(turned)[:count], (labels * 5)[:count]


def embedded(path, count, **kwargs):
    pixels, labels = images(count)
    return Collection.from_images(pixels, path, model="mini-fashion", labels=labels, **kwargs)


def held(uri, collection, fields=("row",)):
    """What Milvus holds, every row that it gives, so that one that is there twice counts twice."""
    from pymilvus import MilvusClient

    client, name, found = MilvusClient(str(uri)), published_name(collection), []
    client.load_collection(name)
    last = int(collection.rows[-1]) + 20_000
    for start in range(0, last, 10_000):
        rows = f"row >= {start} and row < {start + 10_000}"
        found += client.query(name, filter=rows, output_fields=list(fields), limit=16_384)
    client.close()
    return found


def check_killed_and_continued(tmp_path, count, requests, batch, searches):
    collection = embedded(tmp_path / "c", count)
    uri = tmp_path / "images.db"
    command = [sys.executable, "-c", _KILLED, str(collection.path), str(uri), str(requests), str(batch)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    done = publish(collection, str(uri))
    assert done.images == count
    assert done.removed == 0
    assert count - requests * batch <= done.upserted < count  # what had arrived was not sent again
    found = held(uri, collection, ("row", "id", "label", "split", "vector"))
    assert sorted(each["row"] for each in found) == collection.rows.tolist()
    for each in found[:: max(1, count // 500)]:
        at = collection.position(each["row"])
        assert (each["id"], each["label"], each["split"]) == (collection.ids[at], collection.labels[at], None)
        np.testing.assert_array_equal(np.asarray(each["vector"], np.float32), collection.vectors[at])
    exact = neighbors(collection.vectors, 10)
    rows = np.random.default_rng(0).choice(count, searches, replace=False)
    hits = 0
    for row in rows.tolist():
        answers = search_published(collection, str(uri), row)
        assert row not in [match.row for match in answers]
        hits += len({match.row for match in answers} & set(exact.indices[row].tolist()))
    assert hits / (10 * searches) >= 0.98


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_killed_run_is_continued(tmp_path):
    check_killed_and_continued(tmp_path, count=2_000, requests=3, batch=300, searches=50)


@pytest.mark.stress
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_killed_run_of_50000_is_continued(tmp_path):
    check_killed_and_continued(tmp_path, count=50_000, requests=25, batch=1_000, searches=1_000)


@pytest.mark.stress
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_killed_at_any_moment(tmp_path):
    collection, uri = embedded(tmp_path / "c", 10_000), tmp_path / "images.db"
    command = [sys.executable, "-m", "dinoscope", "publish", str(collection.path), "--to", str(uri)]
    random = np.random.default_rng(0)
    for seconds in random.uniform(0.8, 6, 30):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert publish(collection, str(uri)).images == 10_000
    assert sorted(each["row"] for each in held(uri, collection)) == collection.rows.tolist()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    collection = embedded(folder / "c", 300)
    publish(collection, str(folder / "images.db"))
    return collection, str(folder / "images.db")


def test_the_command_line_publishes_and_searches(run, published):
    collection, uri = published
    code, out, err = run("publish", collection.path, "--to", uri)
    assert (code, out) == (0, "")
    assert err.startswith(f"300 images in {published_name(collection)}: 0 sent, 0 removed, 300 unchanged, in ")
    done = json.loads(run("publish", collection.path, "--to", uri, "--json")[1])
    assert (done["images"], done["upserted"], done["removed"]) == (300, 0, 0)
    code, out, err = run("search", collection.path, 7, "-k", 5, "--on", uri, "--json")
    assert (code, err) == (0, "")
    here = json.loads(run("search", collection.path, 7, "-k", 5, "--json")[1])
    there = json.loads(out)
    assert [each["row"] for each in there] == [each["row"] for each in here]
    assert [each["similarity"] for each in there] == pytest.approx([each["similarity"] for each in here], abs=1e-5)
    assert [(each["id"], each["label"]) for each in there] == [(each["id"], each["label"]) for each in here]


def test_the_next_command_is_the_one_that_works(run, tmp_path):
    pixels, _ = images(20)
    for model in ("mini-fashion", "mini"):
        Collection.from_images(pixels, tmp_path / "c", model=model)
    shown, uri = Collection(tmp_path / "c"), tmp_path / "images.db"
    other = Collection(tmp_path / "c", "mini-fashion")
    code, _, err = run("search", tmp_path / "c", 0, "--on", uri, "--name", "some", "--model", "mini-fashion")
    assert code == 1
    options = ["--name", "some", "--model", other.key]
    assert f"run 'dinoscope publish {tmp_path / 'c'} --to {uri} {' '.join(options)}'" in err
    assert other.key != shown.key
    code, _, err = run("publish", tmp_path / "c", "--to", uri, *options)
    assert code == 0
    assert err.strip().endswith(f"next: dinoscope search {tmp_path / 'c'} ROW --on {uri} {' '.join(options)}")
    assert run("search", tmp_path / "c", 0, "--on", uri, *options)[0] == 0


def test_filters(run, published):
    collection, uri = published
    rows = np.flatnonzero(np.isin(collection.labels, ["Bag", "Coat"]))
    order = rows[np.argsort(-(collection.vectors[rows] @ collection.vectors[0]), kind="stable")][:4]
    found = json.loads(
        run("search", collection.path, 0, "-k", 4, "--on", uri, "--label", "Bag", "--label", "Coat", "--json")[1]
    )
    assert [each["row"] for each in found] == collection.rows[order].tolist()
    assert search_published(collection, uri, 0, labels=['no "such\\ label\n']) == []
    assert search_published(collection, uri, 0, splits=["train"]) == []
    code, _, err = run("search", collection.path, 0, "--label", "Bag")
    assert code == 1
    assert "name the place with --on" in err


def test_labels_of_any_kind_and_splits(tmp_path):
    names = ['we"ird', "back\\slash", "new\nline", "ünï 字 🙂", "apo'strophe", "{x} % [a]", None, "trailing\\"]
    pixels, _ = images(16)
    collection = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=names * 2)
    collection.splits[:4] = "train"
    uri = str(tmp_path / "images.db")
    publish(collection, uri)
    for name in filter(None, names):
        found = search_published(collection, uri, collection.vectors[0], labels=[name])
        assert [match.label for match in found] == [name, name]
    found = search_published(collection, uri, 0, splits=["train"])
    assert {match.row for match in found} == {1, 2, 3}


def test_an_image_is_found_by_each_of_its_labels(run, tmp_path):
    sets = [["cat", 'in "door"'], ["dog"], [], ["cat"], ["dog", "cat"], ["bird", "字"]]
    pixels, _ = images(6)
    collection = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=sets)
    uri = str(tmp_path / "images.db")
    assert publish(collection, uri).upserted == 6
    assert publish(collection, uri).upserted == 0

    def found(*labels):
        return {match.row for match in search_published(collection, uri, collection.vectors[2], labels=labels)}

    assert found("cat") == {0, 3, 4}
    assert found('in "door"', "字") == {0, 5}
    assert found("ca") == set()
    options = ("--on", uri, "--label", "dog", "--json")
    assert {each["row"] for each in json.loads(run("search", collection.path, 1, *options)[1])} == {4}
    told = run("search", collection.path, 1, "--on", uri, "--label", "cow")[2]
    assert told == "no image has the label 'cow'; there are: bird, cat, dog, in \"door\", 字\n"
    sets[2] = ["cow", "cat"]
    again = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=sets)
    assert publish(again, uri).upserted == 1
    assert found("cow") == {2}
    assert {each["row"]: each["labels"] for each in held(uri, again, ("row", "labels"))}[2] == ["cat", "cow"]


def test_an_image_of_too_many_labels_is_named(tmp_path):
    pixels, _ = images(2)
    labels = [["one"], [str(number) for number in range(4_097)]]
    collection = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=labels)
    with pytest.raises(PublishError, match=r"'00001' has 4,097 labels, expected at most 4,096"):
        publish(collection, str(tmp_path / "images.db"))


def test_what_was_published_before_there_were_sets_is_made_again(tmp_path, monkeypatch, caplog):
    """Its form has no place for several labels: a search by label says what to do, and publishing does it."""
    from pymilvus import MilvusClient

    schema = MilvusClient.create_schema

    def without_sets(_, **kwargs):
        made = schema(**kwargs)
        add = made.add_field
        made.add_field = lambda name, *rest, **more: None if name == "labels" else add(name, *rest, **more)
        return made

    collection, uri = embedded(tmp_path / "c", 20), str(tmp_path / "images.db")
    upsert = MilvusClient.upsert
    with monkeypatch.context() as before:
        before.setattr(MilvusClient, "create_schema", without_sets)
        before.setattr(
            MilvusClient,
            "upsert",
            lambda self, name, rows: upsert(
                self, name, [{k: v for k, v in row.items() if k != "labels"} for row in rows]
            ),
        )
        assert publish(collection, uri).upserted == 20
    assert "labels" not in held(uri, collection, ("*",))[0]
    assert len(search_published(collection, uri, 0)) == 10
    with pytest.raises(InputError, match=r"by an earlier version, .*: run 'dinoscope publish .* again"):
        search_published(collection, uri, 0, labels=["Bag"])
    assert publish(collection, uri).upserted == 20
    assert "has no place for several labels per image: it is made again" in caplog.text
    assert {match.label for match in search_published(collection, uri, 0, labels=["Bag"])} == {"Bag"}


def test_only_what_changed_is_sent_and_what_was_removed_goes(tmp_path):
    pixels, labels = images(60)
    uri = str(tmp_path / "images.db")
    first = Collection.from_images(pixels[:40], tmp_path / "c", model="mini-fashion", labels=labels[:40])
    assert publish(first, uri).upserted == 40
    labels[3] = "renamed"
    changed = np.concatenate([pixels[:35], pixels[40:60]])  # five are gone from the middle, fifteen more are new
    more = Collection.from_images(changed, tmp_path / "c", model="mini-fashion", labels=labels[:35] + labels[40:60])
    done = publish(more, uri)
    removed = set(first.rows.tolist()) - set(more.rows.tolist())
    new = set(more.rows.tolist()) - set(first.rows.tolist())
    assert done.images == 55
    assert done.removed == len(removed)
    assert done.upserted == len(new) + 1
    found = {each["row"]: each["label"] for each in held(uri, more, ("row", "label"))}
    assert sorted(found) == more.rows.tolist()
    assert found[3] == "renamed"
    fewer = Collection.from_images(pixels[:20], tmp_path / "c", model="mini-fashion", labels=labels[:20])
    assert publish(fewer, uri).removed == 35  # rows above the last that is left
    assert sorted(each["row"] for each in held(uri, fewer)) == fewer.rows.tolist()


def test_files_that_were_touched_or_renamed_are_the_same_images(tmp_path, monkeypatch):
    """Also where what is published is still named by the files' names, sizes and times, as dinoscope did before."""
    uri, photos = str(tmp_path / "images.db"), tmp_path / "photos"
    photos.mkdir()
    for at, pixels in enumerate(images(12)[0]):
        Image.fromarray(pixels).save(photos / f"{at:02}.png")
    first = Collection.from_images(photos, tmp_path / "c", model="mini-fashion")
    with monkeypatch.context() as before:
        before.setattr(Collection, "contents", property(lambda self: self.content_keys))
        assert publish(first, uri).upserted == 12
    assert publish(Collection(first.path), uri).upserted == 12  # once, under their contents
    for at in range(12):
        os.utime(photos / f"{at:02}.png", (1, 1))
    assert publish(Collection.from_images(photos, tmp_path / "c", model="mini-fashion"), uri).upserted == 0
    (photos / "03.png").rename(photos / "new.png")
    again = Collection.from_images(photos, tmp_path / "c", model="mini-fashion")
    done = publish(again, uri)
    assert (done.images, done.upserted, done.removed) == (12, 1, 0)
    assert {each["row"]: each["id"] for each in held(uri, again, ("row", "id"))}[3] == "new.png"


def test_what_was_made_of_other_images_is_not_overwritten(run, published, tmp_path):
    collection, uri = published
    pixels, _ = images(300)
    other = Collection.from_images(pixels[::-1][:50], tmp_path / "c", model="mini-fashion")
    with pytest.raises(PublishError, match=r"holds other images or vectors than .*--name, or delete .* --replace"):
        publish(other, uri)
    assert len(held(uri, collection)) == 300
    assert publish(other, uri, name="others").images == 50
    assert publish(collection, uri, name="others", replace=True).images == 300
    plain = Collection.from_images(pixels[:50], tmp_path / "m", model="mini")
    with pytest.raises(PublishError, match="holds vectors of another model"):
        search_published(plain, uri, 0, name="others")
    with pytest.raises(PublishError, match="holds other images or vectors"):
        publish(plain, uri, name="others")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("images.sqlite", r"expected http\(s\)://HOST:PORT or the name of a file that ends with .db"),
        ("ftp://host/x", r"expected http\(s\)://HOST:PORT"),
        ("https://me:secret@host", "must not hold a password: put it into the variable MILVUS_TOKEN"),
        ("nowhere/images.db", "there is no folder for nowhere/images.db"),
    ],
)
def test_bad_addresses_are_named(published, uri, message):
    with pytest.raises(InputError, match=message):
        publish(published[0], uri)


def test_a_label_that_is_not_published_is_told_with_those_that_are(run, published):
    collection, uri = published
    code, out, err = run("search", collection.path, 0, "--on", uri, "--label", "Bga")
    assert (code, out) == (0, "")
    known = sorted(set(collection.labels))
    assert err == f"no image has the label 'Bga'; there are: {', '.join(known)}\n"
    assert (
        "no image has the split 'no'; there are: none"
        in run("search", collection.path, 0, "--on", uri, "--split", "no")[2]
    )


def test_other_expected_errors(run, published, tmp_path, monkeypatch):
    collection, uri = published
    monkeypatch.setenv("MILVUS_TOKEN", "sesame-open")
    code, out, err = run("publish", collection.path, "--to", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert err.startswith("dinoscope: Milvus at http://127.0.0.1:9: cannot open it: ")
    assert err.count("\n") == 1
    assert "sesame" not in err
    monkeypatch.delenv("MILVUS_TOKEN")
    code, _, err = run("search", collection.path, 1, "--on", tmp_path / "none.db")
    assert code == 1
    assert "nothing is published there" in err
    assert not (tmp_path / "none.db").exists()
    code, _, err = run("search", collection.path, 1, "--on", uri, "--name", "other")
    assert "nothing is published there as 'other'" in err
    assert f"run 'dinoscope publish {collection.path} --to {uri} --name other'" in err
    (tmp_path / "file.db").write_text("text")
    assert "is not a database of milvus-lite" in run("publish", collection.path, "--to", tmp_path / "file.db")[2]
    assert "letters, digits and underscores" in run("publish", collection.path, "--to", uri, "--name", "a b")[2]
    assert (
        "k must be a whole number, between 1 and 1000" in run("search", collection.path, 1, "--on", uri, "-k", 1001)[2]
    )
    assert "row 999" in run("search", collection.path, 999, "--on", uri)[2]
