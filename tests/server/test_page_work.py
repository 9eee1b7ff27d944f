"""What a person at work asks for: checks at random, poor pictures, a few images, slow maps, own labels."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.explorer.model_view import ModelData
from dinoscope.explorer.picking import pick_images
from dinoscope.explorer.types import PickQuery
from dinoscope.server.jobs import while_wanted
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from tests import PATIENCE
from tests.served import client, images, make_collection


@pytest.fixture
def folder(tmp_path):
    source = images(120)
    labels = [item.label for item in source.items]
    labels[3], labels[8] = labels[8], labels[3]
    pixels = np.stack([source.load(at) for at in range(120)])
    pixels[7] = 2  # nothing to be seen
    pixels[40:60] //= 3  # somewhat dark
    return make_collection(tmp_path / "c", ArraySource(pixels, labels=labels))


def place(server):
    return f"/api/models/{server.get('/api/collection').json()['model']}"


def test_answers_to_findings_drawn_at_random_say_what_the_others_are(folder):
    with client(folder) as server:
        base = place(server)
        told = {each["kind"]: each for each in server.get(f"{base}/findings/checks").json()["checks"]}
        assert told.keys() == {"label_error", "outlier"}
        doubt = told["label_error"]
        listed = [
            each["key"] for each in server.get(f"{base}/findings").json()["findings"] if each["kind"] == "label_error"
        ]
        assert (doubt["checked"], doubt["right"], doubt["rest"]) == (0, 0, len(listed))
        assert set(doubt["next"]) <= set(listed)
        assert len(doubt["next"]) == min(20, len(listed))
        drawn = doubt["next"][:4]
        for number, key in enumerate(drawn):
            answer = {"dismissed": False, "confirmed": True} if number == 0 else {"dismissed": True}
            assert server.put(f"{base}/findings/{key}", json=answer).status_code == 204
        found = Collection(folder).findings_checked("label_errors")
        doubt = next(
            each for each in server.get(f"{base}/findings/checks").json()["checks"] if each["kind"] == "label_error"
        )
        assert (doubt["checked"], doubt["right"], doubt["rest"]) == (4, 1, len(listed) - 4)
        assert (doubt["low"], doubt["high"]) == (found.low, found.high)
        assert not set(drawn) & set(doubt["next"])
        marked = {each["key"]: each for each in server.get(f"{base}/findings").json()["findings"]}
        assert [(marked[key]["dismissed"], marked[key]["confirmed"]) for key in drawn[:2]] == [
            (False, True),
            (True, False),
        ]
        server.put(f"{base}/findings/{drawn[0]}", json={"dismissed": False})
        doubt = next(
            each for each in server.get(f"{base}/findings/checks").json()["checks"] if each["kind"] == "label_error"
        )
        assert (doubt["checked"], doubt["next"][0]) == (0, drawn[0])  # the first that was drawn is open again


def test_poor_pictures_are_findings_each_once(folder):
    with client(folder) as server:
        base = place(server)
        found = [each for each in server.get(f"{base}/findings").json()["findings"] if each["kind"] == "picture"]
        assert len({each["key"] for each in found}) == len(found) > 0
        empty = next(each for each in found if each["rows"] == [7])
        assert empty["text"].startswith("empty: ")
        assert server.put(f"{base}/findings/{empty['key']}", json={"dismissed": True}).status_code == 204
    assert empty["key"] in Collection(folder).dismissed()


def test_the_question_about_screenshots_says_which_pictures_were_not_measured(folder, tmp_path):
    with client(folder) as server:  # these are so small that their copies show all
        assert server.get(f"{place(server)}/questions?about=screenshot").json()["note"] is None
    pixels = np.kron(np.stack([images(30).load(at) for at in range(30)])[..., 0], np.ones((1, 4, 4), np.uint8))
    with client(make_collection(tmp_path / "large", ArraySource(pixels))) as server:
        told = server.get(f"{place(server)}/questions?about=screenshot").json()
        assert told["rows"] is None
        assert told["note"].startswith("Not checked for screenshots: 30 pictures")
        assert server.get(f"{place(server)}/questions?about=dark").json()["note"] is None


def test_pictures_are_asked_about_and_the_answers_decide_what_is_listed(folder):
    def listed(server, kind):
        found = server.get(f"{place(server)}/findings").json()["findings"]
        return [each["rows"][0] for each in found if each["kind"] == "picture" and each["text"].startswith(kind)]

    with client(folder) as server:
        assert listed(server, "empty") == [7]
        asked = f"{place(server)}/questions?about=dark"
        told = server.get(asked).json()
        assert (told["yes"], told["no"], told["unsure"], told["precision"]) == (0, 0, 0, None)
        assert (len(told["rows"]), told["sizes"]) == (1, [[28, 28]])
        first, rows = told["rows"], []
        for _ in range(told["enough"]):
            rows.append(told["rows"][0])
            told = server.put(asked, json={"rows": told["rows"], "yes": told["rows"] == first}).json()
        assert len(set(rows)) == told["enough"] == told["yes"] + told["no"]
        assert told["threshold"] == Collection(folder).threshold_fit("dark").threshold
        assert server.put(asked, json={"rows": first, "yes": False}).status_code == 200
        assert first[0] not in listed(server, "dark")
        assert server.put(asked, json={"rows": first, "yes": True}).status_code == 200
        assert first[0] in listed(server, "dark")
        assert server.get(f"{place(server)}/questions?about=duplicates").json()["yes"] == 0
        assert server.put(asked, json={"rows": [1, 2], "yes": True}).status_code == 404
        assert server.get(f"{place(server)}/questions?about=ugly").status_code == 422
        assert server.get(f"{place(server)}/questions").status_code == 422
        assert server.delete(asked).json()["yes"] == 0
    assert Collection(folder).forget_answers("dark") == 0


def test_a_few_images_are_picked_of_all_or_of_some(folder):
    with client(folder) as server:
        base = place(server)
        told = server.post(f"{base}/pick", json={"count": 10}).json()
        opened = Collection(folder)
        assert told["rows"] == opened.rows[opened.pick(10, "typical").positions].tolist()
        assert 0 < told["distance"] < 1
        some = list(range(0, 60, 2))
        told = server.post(f"{base}/pick", json={"count": 5, "by": "coverage", "rows": some}).json()
        assert len(set(told["rows"])) == 5
        assert set(told["rows"]) <= set(some)
        assert len(server.post(f"{base}/pick", json={"count": 50, "rows": [1, 2]}).json()["rows"]) == 2
        for wrong, code in (({"count": 0}, 422), ({"count": 5, "by": "luck"}, 422), ({"count": 10_001}, 422)):
            assert server.post(f"{base}/pick", json=wrong).status_code == code
        assert server.post(f"{base}/pick", json={"count": 5, "rows": [3, 3]}).json() == {
            "rows": [3],
            "distance": 0,
            "randomDistance": 0,
        }
        for rows in ([999], [1, 2, 999]):
            unknown = server.post(f"{base}/pick", json={"count": 5, "rows": rows})
            assert (unknown.status_code, unknown.json()["error"]) == (
                404,
                "row 999 is not in this collection: rows go from 0 to 119",
            )
        labels = opened.labels.tolist()
        same = [row for row in range(120) if labels[row] == labels[0]]
        one = server.post(f"{base}/pick", json={"count": 2, "by": "uncertain", "rows": same})
        assert (one.status_code, one.json()["error"]) == (
            400,
            "these images have the same label, and Uncertain needs two labels: choose Typical",
        )
    assert not list((folder / "results" / "picking").glob("*.parquet"))[1:]  # those of parts are not kept


@pytest.mark.parametrize("by", ["coverage", "typical", "uncertain", "balanced"])
def test_picking_ends_when_nobody_waits_for_it(folder, by):
    class Left(Exception):
        pass

    told = []

    def leave(done, total):
        told.append((done, total))
        if done == 3:
            raise Left

    opened = Collection(folder, read_only=True)
    with pytest.raises(Left):
        pick_images(opened, PickQuery(count=30, by=by), leave)
    assert told[-1] == (3, 30)
    told.clear()
    found = pick_images(opened, PickQuery(count=2, by=by), lambda *how_far: told.append(how_far))
    assert told[-1] == (20, 21)  # the random choices are measured, too
    assert len(found.rows) == 2


def test_the_server_stops_picking_for_who_has_left(folder, monkeypatch):
    asked = []
    monkeypatch.setattr("dinoscope.server.app.while_wanted", lambda *how_far: asked.append(how_far))
    with client(folder) as server:
        assert server.post(f"{place(server)}/pick", json={"count": 4}).status_code == 200
    assert (3, 4) in asked


def test_a_slow_map_says_how_long_it_takes_and_how_far_it_is(folder, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow(self, name, on_progress=None):
        while_wanted(300, 750)
        begun.set()
        go_on.wait(PATIENCE)
        return np.zeros((len(self.collection), 2), np.float32)

    with client(folder) as server:
        base = place(server)
        maps = {each["id"]: each for each in server.get(base).json()["maps"]}
        assert 0.3 < maps["tsne"]["seconds"] < 1  # 4 ms an image
        assert maps["pca"]["seconds"] < 0.1
        assert server.get(f"{base}/maps/tsne/progress").json() is None
        assert server.get(f"{base}/maps/nothing/progress").status_code == 404
        monkeypatch.setattr(ModelData, "coordinates", slow)
        asking = threading.Thread(target=lambda: server.get(f"{base}/maps/tsne"))
        asking.start()
        assert begun.wait(PATIENCE)
        assert server.get(f"{base}/maps/tsne/progress").json() == {"done": 300, "total": 750}
        go_on.set()
        asking.join(PATIENCE)
        monkeypatch.undo()
        server.get(f"{base}/maps/pca")
        maps = {each["id"]: each for each in server.get(base).json()["maps"]}
        assert maps["pca"]["seconds"] is None


def test_numbers_judge_clusters_and_labels_before_anybody_looked_for_clusters(folder):
    with client(folder) as server:
        base = place(server)
        assert not (folder / "results" / "clusters").exists()
        found = server.get(f"{base}/maps/umap/numbers").json()
        assert {each["about"]: each["tone"] for each in found["judged"]}.keys() >= {"map", "clusters", "labels"}
        assert "unknown" not in {each["tone"] for each in found["judged"]}
        assert Collection(folder).clusters(len(set(Collection(folder).labels))).labels.max() > 0


def test_numbers_of_a_model_that_sees_too_little_name_the_command_that_helps(tmp_path):
    large = load_dataset("fashion-mnist-test").pixels[:20].repeat(5, axis=1).repeat(5, axis=2)
    with client(make_collection(tmp_path / "large", ArraySource(large))) as server:
        first, *others = server.get(f"{place(server)}/maps/pca/numbers").json()["judged"]
    assert (first["about"], first["tone"]) == ("model", "bad")
    assert first["command"].startswith("dinoscope embed YOUR-PHOTOS -o large --model ")
    assert first["command"] not in first["text"]
    assert [each["command"] for each in others] == [None, None, None]


def test_verdicts_and_findings_use_the_labels_that_people_gave(folder):
    Collection(folder).annotate([3], label="a new one")
    with client(folder, labels="merged") as server:
        base = place(server)
        column = next(each for each in server.get(base).json()["columns"] if each["name"] == "label")
        assert "a new one" in column["values"]
        assert server.get(f"{base}/images/3").json()["label"] == "a new one"
        state = server.get(base).json()["state"]
        Collection(folder).annotate([5], label="a new one")
        assert server.get(base).json()["state"] != state  # what is said meanwhile counts
        assert server.get(f"{base}/images/5").json()["label"] == "a new one"
    with client(folder) as server:
        assert server.get(f"{place(server)}/images/3").json()["label"] != "a new one"
