"""The explorer's routes for columns."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.columns.kinds import Column
from dinoscope.explorer.columns import column_bytes, describe_columns, find_in_column
from dinoscope.explorer.model_view import NO_CODE
from dinoscope.sources.datasets.named import load_dataset
from tests import ROOT
from tests.pictures import photograph
from tests.served import client

N = 12
DESCRIBED = json.loads((ROOT / "web/openapi.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of which all but the first have lines in a table."""
    place = tmp_path_factory.mktemp("served")
    lines = ["file_name,price,bought,sold,sort,note"]
    (place / "photos").mkdir()
    for index, pixels in enumerate(load_dataset("fashion-mnist-test").pixels[:N]):
        taken = f"2024:01:{index + 1:02d} 12:00:00"
        content = photograph(Image.fromarray(pixels).convert("RGB"), taken, place=(10.5, 20.25))
        (place / "photos" / f"{index:02d}.jpg").write_bytes(content)
        said = f"{index / 2},2024-01-{index + 1:02d},{'yes' if index % 3 else 'no'},{'ab'[index % 3 > 0]},Note {index}"
        lines.append(f"{index:02d}.jpg,{said if index else ',,,,'}")
    (place / "photos" / "metadata.csv").write_text("\n".join(lines))
    Collection.from_images(place / "photos", place / "c", model="mini-fashion")
    return place / "c"


@pytest.fixture(scope="module")
def server(folder):
    with client(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def base(server):
    return f"/api/models/{server.get('/api/collection').json()['model']}"


@pytest.fixture(scope="module")
def columns(server, base):
    return server.get(f"{base}/columns").json()["columns"]


@pytest.fixture(scope="module")
def place(columns):
    return {column["name"]: at for at, column in enumerate(columns)}


def values(server, base, index, kind="<f4"):
    answer = server.get(f"{base}/columns/{index}/values")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    return np.frombuffer(answer.content, kind)


def test_columns_are_described(columns, place):
    for column in columns:
        assert column.keys() == DESCRIBED["components"]["schemas"]["ColumnInfo"]["properties"].keys()
    price, bought = columns[place["price"]], columns[place["bought"]]
    assert (price["kind"], price["missing"], price["distinct"]) == ("number", 1, N - 1)
    assert (price["low"], price["high"], price["values"], price["private"]) == (0.5, 5.5, [], False)
    assert (bought["kind"], bought["low"]) == ("date", 1704067200.0 + 86400)
    sort, sold, note = columns[place["sort"]], columns[place["sold"]], columns[place["note"]]
    assert sort["kind"] == "category"
    assert sort["values"] == [{"value": "b", "count": 8}, {"value": "a", "count": 3}]
    assert (sort["low"], sort["high"], sort["distinct"]) == (None, None, 2)
    assert sold["kind"] == "boolean"
    assert sold["values"] == [{"value": "yes", "count": 8}, {"value": "no", "count": 3}]
    assert (note["kind"], note["distinct"], note["values"]) == ("text", N - 1, [])
    assert columns[place["latitude"]]["private"]
    assert [columns[place[name]]["ofFile"] for name in ("price", "sort", "size", "aspect")] == [
        None,
        None,
        "size",
        "aspect",
    ]


def test_a_column_of_a_table_is_not_taken_for_one_of_files():
    size = Column("number", np.arange(3.0))
    told = describe_columns({"size": size, "size (file)": size, "stars": size}, {"size", "stars"}).columns
    assert [each.of_file for each in told] == [None, "size", None]


def test_values_are_floats_in_the_order_of_the_points(server, base, place, folder):
    price, ids = values(server, base, place["price"]), Collection(folder).ids.tolist()
    assert len(price) == N
    assert math.isnan(price[ids.index("00.jpg")])
    assert price[ids.index("07.jpg")] == 3.5
    assert values(server, base, place["bought"], "<f8")[ids.index("07.jpg")] == 19723 + 7  # days since 1970
    assert values(server, base, place["date"], "<f8")[ids.index("07.jpg")] == 19723 + 7.5 - 1 + 1
    sort = values(server, base, place["sort"])
    assert [sort[ids.index(name)] for name in ("01.jpg", "03.jpg")] == [0, 1]  # b is the more common
    assert math.isnan(sort[0])
    assert values(server, base, place["sold"])[ids.index("03.jpg")] == 1  # of "yes", "no"


def test_photographs_of_one_minute_keep_their_order():
    taken = 1_735_603_200 + np.arange(10.0)  # a second apart, in December 2024
    days = column_bytes(Column("date", taken))
    assert np.rint(days * 86400).tolist() == taken.tolist()


def test_a_page_is_told_of_every_value_of_a_category():
    folders = np.asarray([f"{at // 2:03d}" for at in range(600)], object)
    column = Column("category", folders)
    told = describe_columns({"folder": column}).columns[0]
    assert len(told.values) == told.distinct == 300
    places = column_bytes(column)
    assert [told.values[int(place)].value for place in places] == folders.tolist()


def test_a_page_is_told_of_as_many_values_as_there_are_codes():
    column = Column("category", np.asarray([f"{at:05d}" for at in range(NO_CODE + 2)], object))
    told, places = describe_columns({"folder": column}).columns[0], column_bytes(column)
    assert len(told.values) == NO_CODE
    assert np.nanmax(places) == NO_CODE - 1
    assert np.isnan(places).sum() == 2


def test_a_text_is_found_however_many_images_have_it():
    column = Column("text", np.asarray(["a red shirt"] * 100_002, object))
    assert find_in_column(column, "RED").rows == list(range(100_002))


def test_values_may_be_kept_where_the_state_is_named(server, base, place):
    state = server.get(base).json()["state"]
    path = f"{base}/columns/{place['price']}/values"
    assert "immutable" in server.get(path, params={"v": state}).headers["cache-control"]
    assert server.get(path).headers["cache-control"] == "no-cache"
    assert server.get(path, params={"v": "0" * 16}).status_code == 409


def test_texts_are_found(server, base, place):
    path = f"{base}/columns/{place['note']}/find"
    assert server.get(path, params={"text": "NOTE 1"}).json() == {"rows": [1, 10, 11]}
    assert server.get(path, params={"text": "nothing"}).json() == {"rows": []}
    assert server.get(path).status_code == 422


def test_what_is_not_there_or_not_of_its_kind_is_refused(server, base, place):
    assert server.get(f"{base}/columns/99/values").status_code == 404
    assert server.get(f"{base}/columns/-1/values").status_code == 422
    refused = server.get(f"{base}/columns/{place['note']}/values")
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        "a column of texts has no numbers: look for a text in it",
    )
    assert server.get(f"{base}/columns/{place['price']}/find", params={"text": "1"}).status_code == 400


def test_an_image_has_its_columns(server, base, folder):
    row = int(Collection(folder).rows[7])
    told = {each["name"]: each["text"] for each in server.get(f"{base}/images/{row}").json()["columns"]}
    assert told["price"] == "3.5"
    assert told["date"] == "2024-01-08 12:00:00"
    assert told["sold"] == "yes"
    assert told["latitude"] == "10.5"
    files = {each["name"]: each["ofFile"] for each in server.get(f"{base}/images/{row}").json()["columns"]}
    assert (files["price"], files["size"]) == (None, "size")
    first = {each["name"] for each in server.get(f"{base}/images/0").json()["columns"]}
    assert "price" not in first


def test_added_columns_appear(server, base, folder):
    before = server.get(base).json()["state"]
    Collection(folder).add_columns({"id": ["07.jpg"], "stars": [5]})
    assert server.get(base).json()["state"] != before
    assert server.get(f"{base}/columns").json()["columns"][5]["name"] == "stars"
