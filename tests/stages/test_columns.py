"""Columns of a collection: where they come from, how they are kept, and what a condition leaves."""

import datetime
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import DamagedError, InputError
from dinoscope.explorer.export import write_collection
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.columns import COLUMNS, read_columns
from dinoscope.storage.parts import read_images
from tests.pictures import photograph

N = 24
PLACE = (48.85, -2.35)


def seconds(*date: int) -> float:
    return datetime.datetime(*date, tzinfo=datetime.UTC).timestamp()  # type: ignore[misc, arg-type]


def picture(index: int) -> Image.Image:
    return Image.fromarray(load_dataset("fashion-mnist-test").pixels[index]).convert("RGB")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Photographs in two folders: half have a camera and a date, a third a place; a table beside them."""
    folder: Path = tmp_path_factory.mktemp("columns") / "photos"
    lines = ["file_name,price,bought,sold,sort,note"]
    for index in range(N):
        name = f"{'red' if index % 2 else 'blue'}/{index:02d}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        camera = ("Canon", "Canon EOS 5D") if index % 4 == 0 else ("SONY", "ILCE-7")
        (folder / name).write_bytes(
            photograph(
                picture(index),
                f"{2020 + index % 5}:03:01 12:30:00" if index % 2 else None,
                camera if index % 2 == 0 else None,
                PLACE if index % 3 == 0 else None,
                iso=100 * (index + 1),
                exposure=1 / 250,
                focal_length=50.0,
                f_number=2.8,
            )
        )
        said = f"{index / 2},2024-01-{index + 1:02d},{'yes' if index % 2 else 'no'},{'abc'[index % 3]},note {index}"
        lines.append(f"{name},{said if index else ',,,,'}")
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def folder(photos) -> Path:
    path: Path = photos.parent / "c"
    Collection.from_images(photos, path, model="mini-fashion")
    return path


@pytest.fixture
def collection(folder) -> Collection:
    return Collection(folder)


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "c"))


def test_columns_of_table_and_files_have_their_kinds(collection):
    columns = collection.columns()
    assert {name: column.kind for name, column in columns.items()} == {
        "price": "number",
        "bought": "date",
        "sold": "boolean",
        "sort": "category",
        "note": "text",
        "date": "date",
        "camera": "category",
        "focal_length": "number",
        "exposure": "number",
        "f_number": "number",
        "iso": "number",
        "latitude": "number",
        "longitude": "number",
        "format": "category",
        "width": "number",
        "height": "number",
        "aspect": "number",
        "size": "number",
        "folder": "category",
    }
    assert [name for name, column in columns.items() if column.private] == ["latitude", "longitude"]


def test_values_are_those_of_the_files_and_of_the_table(collection, photos):
    columns = collection.columns()
    at = {name: place for place, name in enumerate(collection.ids.tolist())}
    first, third, seventh = at["blue/00.jpg"], at["blue/02.jpg"], at["red/07.jpg"]
    assert [columns["camera"].values[place] for place in (first, third, seventh)] == [
        "Canon EOS 5D",
        "SONY ILCE-7",
        None,
    ]
    assert columns["date"].values[seventh] == seconds(2022, 3, 1, 12, 30)
    assert np.isnan(columns["date"].values[first])
    assert columns["latitude"].values[first] == pytest.approx(PLACE[0], abs=1e-6)
    assert columns["longitude"].values[first] == pytest.approx(PLACE[1], abs=1e-6)
    assert np.isnan(columns["latitude"].values[seventh])
    assert columns["iso"].values[seventh] == 800
    assert columns["exposure"].values[first] == pytest.approx(0.004)
    assert columns["size"].values[third] == (photos / "blue/02.jpg").stat().st_size
    assert (columns["width"].values[third], columns["aspect"].values[third]) == (28, 1)
    assert columns["folder"].values[seventh] == "red"
    assert (columns["price"].values[seventh], columns["sold"].values[seventh]) == (3.5, 1)
    assert columns["bought"].values[seventh] == seconds(2024, 1, 8)
    assert columns["note"].values[seventh] == "note 7"
    for name in ("price", "bought", "sold", "sort", "note"):
        assert columns[name].missing[first]
        assert columns[name].missing.sum() == 1


def test_a_changed_table_needs_no_embedding(photos, folder, tmp_path):
    source, path = Path(shutil.copytree(photos, tmp_path / "photos")), tmp_path / "c"
    Collection.from_images(source, path, model="mini-fashion")
    table = source / "metadata.csv"
    table.write_text(table.read_text().replace("note 7", "another note").replace("note\n", "remark\n", 1))
    opened = Collection.from_images(source, path, model="mini-fashion")
    assert opened.embedded is not None
    assert opened.embedded.embedded == 0
    assert "another note" in opened.columns()["remark"].values
    assert "note" not in opened.columns()


def test_the_same_table_writes_nothing(photos, copy):
    before = (copy / COLUMNS).stat()
    Collection.from_images(photos, copy, model="mini-fashion")
    assert (copy / COLUMNS).stat().st_mtime_ns == before.st_mtime_ns


def test_a_person_chooses_the_columns(photos, tmp_path):
    path = tmp_path / "c"
    chosen = Collection.from_images(photos, path, model="mini-fashion", keep_columns="price, camera")
    assert list(chosen.columns()) == ["price", "camera"]
    details = pq.read_table(next((path / "details").glob("*.parquet")))
    assert details.column("latitude").null_count == N  # the file does not hold what was not wanted
    again = Collection.from_images(photos, path, model="mini-fashion")
    assert list(again.columns()) == ["price", "camera"]
    more = Collection.from_images(photos, path, model="mini-fashion", keep_columns="all")
    assert {"note", "width"} <= set(more.columns())
    none = Collection.from_images(photos, path, model="mini-fashion", keep_columns="none")
    assert none.columns() == {}
    assert not (path / COLUMNS).exists()
    with pytest.raises(InputError, match="no column 'prize'; did you mean 'price'"):
        Collection.from_images(photos, path, model="mini-fashion", keep_columns=["prize"])


def test_a_collection_from_before_there_were_columns_opens(copy):
    (copy / COLUMNS).unlink()
    for part in (copy / "details").glob("*.parquet"):
        table = pq.read_table(part)
        old = table.select(
            [name for name in table.column_names if name not in ("format", "camera", "date", "latitude")]
        )
        meta = {key: value for key, value in old.schema.metadata.items() if key == b"dinoscope"}
        pq.write_table(old.replace_schema_metadata(meta), part)
    columns = Collection(copy).columns()
    assert "width" in columns
    assert not {"camera", "date", "price"} & set(columns)


def test_a_damaged_file_of_columns_is_told_and_mended(photos, copy, caplog):
    content = bytearray((copy / COLUMNS).read_bytes())
    content[40] ^= 255
    (copy / COLUMNS).write_bytes(content)
    with pytest.raises(DamagedError):
        Collection(copy).columns()
    assert any(COLUMNS in damage for check in verify_collection(copy).checks for damage in check.damage)
    opened = Collection.from_images(photos, copy, model="mini-fashion")
    assert opened.columns()["price"].values[-1] == 11.5
    assert (copy / f"{COLUMNS}.damaged").exists()
    assert "those that you added are lost" in caplog.text


def test_whole_columns_pass_verification(folder):
    assert not [check.damage for check in verify_collection(folder).checks if check.damage]
    assert any(check.name == COLUMNS for check in verify_collection(folder).checks)


def test_own_columns_stay(photos, copy):
    opened = Collection(copy)
    names = opened.add_columns(
        {"id": ["red/07.jpg", "blue/02.jpg", "nobody"], "stars": [5, 3, 1], "label": ["x", "y", "z"]}
    )
    assert names == ["stars", "label (own)"]
    again = Collection.from_images(photos, copy, model="mini-fashion")
    for each in (opened, again):
        stars = dict(zip(each.ids, each.columns()["stars"].values, strict=True))
        assert (stars["red/07.jpg"], stars["blue/02.jpg"]) == (5, 3)
        assert np.isnan(stars["blue/00.jpg"])
    opened.add_columns(pa.table({"id": ["blue/00.jpg"], "stars": [1]}))
    assert opened.matching("stars = 1").sum() == 1
    with pytest.raises(InputError, match="has a column 'price' already"):
        opened.add_columns({"id": ["red/07.jpg"], "price": [1]})
    with pytest.raises(InputError, match="needs a column 'id'"):
        opened.add_columns({"stars": [1]})
    with pytest.raises(InputError, match="no image of the collection is called 'nobody'"):
        opened.add_columns({"id": ["nobody"], "stars": [1]})


def test_own_columns_of_any_type_of_texts(copy):
    ids = ["red/07.jpg", "blue/02.jpg"]
    texts = pa.array(["x", "y"], pa.string_view())
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), texts)
    opened = Collection(copy)
    names = opened.add_columns(pa.table({"id": pa.array(ids, pa.string_view()), "view": texts, "code": codes}))
    assert names == ["view", "code"]
    for name in names:
        found = dict(zip(opened.ids, opened.columns()[name].values, strict=True))
        assert [found[each] for each in ids] == ["x", "y"]
    with pytest.raises(InputError, match="the table has several columns called 'a': give each its own name"):
        opened.add_columns(pa.Table.from_arrays([pa.array(ids), *[pa.array([1, 2])] * 2], ["id", "a", "a"]))


def test_own_columns_of_a_part_leave_the_rest(copy):
    Collection(copy).add_columns({"id": ["red/07.jpg", "blue/02.jpg"], "stars": [5, 3]})
    Collection(copy, where="folder = red").add_columns({"id": ["red/07.jpg"], "stars": [1]})
    whole = Collection(copy)
    stars = dict(zip(whole.ids, whole.columns()["stars"].values, strict=True))
    assert (stars["red/07.jpg"], stars["blue/02.jpg"]) == (1, 3)


def test_own_columns_of_a_part_may_be_of_another_kind_of_text(copy):
    opened = Collection(copy)
    names = opened.ids.tolist()
    opened.add_columns({"id": names, "owner": ["ann", "bob"] * (N // 2), "remark": [f"text {at}" for at in range(N)]})
    assert [opened.columns()[name].kind for name in ("owner", "remark")] == ["category", "text"]
    part = Collection(copy, where="folder = blue")
    own = part.ids.tolist()
    part.add_columns({"id": own, "owner": [f"person {at}" for at in range(len(own))], "remark": ["same"] * len(own)})
    whole = Collection(copy)
    given = {name: at for at, name in enumerate(own)}
    assert whole.columns()["owner"].values.tolist() == [
        f"person {given[name]}" if name in given else ("ann", "bob")[at % 2] for at, name in enumerate(names)
    ]
    assert whole.columns()["remark"].values.tolist() == [
        "same" if name in given else f"text {at}" for at, name in enumerate(names)
    ]


def test_own_columns_of_a_part_of_another_kind_are_refused(copy):
    opened = Collection(copy)
    opened.add_columns({"id": opened.ids.tolist(), "stars": list(range(N))})
    part = Collection(copy, where="folder = blue")
    with pytest.raises(InputError, match="column 'stars' holds values of kind number for the other images, got"):
        part.add_columns({"id": part.ids.tolist(), "stars": ["many", "few"] * (N // 4)})
    assert Collection(copy).columns()["stars"].values.tolist() == list(range(N))
    part.add_columns({"id": part.ids.tolist(), "grade": list(range(N // 2))})
    part.add_columns({"id": part.ids.tolist(), "grade": ["good", "bad"] * (N // 4)})  # no other image has one
    assert Collection(copy).columns()["grade"].kind == "category"


def test_a_part_by_labels_that_people_gave(copy):
    opened = Collection(copy)
    opened.annotate(opened.rows[:5].tolist(), label="mine")
    part = Collection(copy, labels="merged", where="label = mine")
    assert part.ids.tolist() == opened.ids[:5].tolist()
    assert part.labels.tolist() == ["mine"] * 5
    assert part.source_labels.tolist() == opened.source_labels[:5].tolist()
    part.annotate(part.rows[:1].tolist(), label="other")
    part.history()
    assert part.labels.tolist() == ["other"] + ["mine"] * 4


def test_images_that_left_keep_their_values(photos, tmp_path):
    source, path = Path(shutil.copytree(photos, tmp_path / "photos")), tmp_path / "c"
    Collection.from_images(source, path, model="mini-fashion")
    (source / "red/07.jpg").unlink()
    table = source / "metadata.csv"
    kept = table.read_text()
    table.write_text("\n".join(line for line in kept.splitlines() if "07.jpg" not in line))
    assert len(Collection.from_images(source, path, model="mini-fashion")) == N - 1
    shutil.copy2(photos / "red/07.jpg", source / "red/07.jpg")
    back = Collection.from_images(source, path, model="mini-fashion")
    assert back.columns()["price"].values[back.ids.tolist().index("red/07.jpg")] != 3.5  # the table does not say it
    table.write_text(kept)
    again = Collection.from_images(source, path, model="mini-fashion")
    assert again.columns()["price"].values[again.ids.tolist().index("red/07.jpg")] == 3.5


def test_texts_of_images_that_left_stay_where_the_others_become_categories(photos, tmp_path):
    source, path = Path(shutil.copytree(photos, tmp_path / "photos")), tmp_path / "c"
    Collection.from_images(source, path, model="mini-fashion")
    before = {name: each.column.values[:] for name, each in read_columns(path, read_images(path)).items()}
    (source / "red/07.jpg").unlink()
    header, *lines = (line for line in (source / "metadata.csv").read_text().splitlines() if "07.jpg" not in line)
    same = [f"{line.rpartition(',')[0]},the same note" for line in lines]
    (source / "metadata.csv").write_text("\n".join([header, *same]))
    Collection.from_images(source, path, model="mini-fashion")
    images = read_images(path)
    stored = read_columns(path, images)["note"].column
    gone = list(images["id"]).index("red/07.jpg")
    assert images["removed"][gone]
    assert stored.values[gone] == before["note"][gone] == "note 7"
    assert set(np.delete(stored.values, gone)) == {"the same note"}


def test_a_condition_opens_a_part(folder):
    part = Collection(folder, where="camera = 'Canon EOS 5D' and price < 8")
    names = [f"blue/{index:02d}.jpg" for index in range(4, 16, 4)]
    assert part.ids.tolist() == names
    assert part.missing == 0
    assert part.failures == ()
    whole = Collection(folder)
    np.testing.assert_array_equal(part.vectors, whole.vectors[[whole.position(row) for row in part.rows]])
    assert part.columns()["price"].values.tolist() == [2, 4, 6]
    assert part.sizes.shape == (3, 2)
    assert len(part.thumbnails(range(3))) == 3
    with pytest.raises(InputError, match="does not meet the condition"):
        part.position(int(whole.rows[whole.ids.tolist().index("red/07.jpg")]))
    with pytest.raises(InputError, match=r"no image of 24 images .* meets the condition: price > 100"):
        Collection(folder, where="price > 100")


def test_what_is_computed_of_a_part_is_kept_apart(copy):
    whole = Collection(copy)
    whole.clusters(3)
    part = Collection(copy, where="folder = 'red'")
    assert len(part.clusters(3).labels) == N // 2
    assert len(Collection(copy).clusters(3).labels) == N
    sizes = np.bincount(whole.clusters(3).labels)
    assert Collection(copy).matching("cluster = 0").sum() == sizes[0]


def test_conditions_know_labels_tags_clusters_and_names(copy):
    opened = Collection(copy)
    assert opened.matching("label = red").sum() == N // 2
    assert opened.matching("id contains 'RED/'").sum() == N // 2
    assert opened.matching("tag is missing").all()
    opened.annotate(opened.rows[:5].tolist(), label="mine", add_tags=["good", "sharp"])
    opened.annotate(opened.rows[:2].tolist(), drop_tags=["good"])
    assert np.flatnonzero(opened.matching("tag = good")).tolist() == [2, 3, 4]
    assert np.flatnonzero(opened.matching("not tag = good and tag is not missing")).tolist() == [0, 1]
    assert Collection(copy, labels="merged").matching("label = mine").sum() == 5
    assert opened.matching("split is missing").all()
    with pytest.raises(InputError, match="no clusters yet: run 'dinoscope cluster"):
        Collection(copy).matching("cluster = 1")


def test_a_selection_that_becomes_a_collection_keeps_all_that_is_known(copy):
    opened = Collection(copy)
    few = [9, 2, 14, 0]
    opened.add_columns({"id": opened.ids.tolist(), "grade": [float(at) for at in range(N)]})
    opened.annotate([2, 3], label="my own")
    mine = Collection(copy, labels="mine")
    whole = mine.columns()
    new = Collection(copy.parent / write_collection(mine, mine.key, few, "few"))
    found = new.columns()
    assert found.keys() == {name for name, column in whole.items() if not column.take(np.asarray(few)).missing.all()}
    assert [name for name in found if not found[name].same_as(whole[name].take(np.asarray(few)))] == []
    assert {name: each.origin for name, each in new.stored_columns.items()}["grade"] == "own"
    assert new.labels.tolist() == opened.source_labels[few].tolist()  # of the source, whatever was shown
    assert Collection(new.path, labels="mine").labels.tolist() == [None, "my own", None, None]
    for held in ("qualities", "looks"):
        for name, values in getattr(opened, held).items():
            np.testing.assert_array_equal(getattr(new, held)[name], values[few], err_msg=name)
    assert new.qualities["bytes"].min() > 0
    assert verify_collection(new.path).damage == ()
