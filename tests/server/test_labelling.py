"""The explorer's routes for labels by hand: changes, questions, undo, two windows, and a server that only shows."""

from typing import Any

import pytest

from dinoscope.collection import Collection
from dinoscope.stages import labels as label_stage
from tests.served import N, client, images, make_collection


@pytest.fixture
def folder(tmp_path):
    return make_collection(tmp_path / "c")


@pytest.fixture
def server(folder):
    with client(folder) as opened:
        yield opened


@pytest.fixture
def base(server):
    return f"/api/models/{server.get('/api/collection').json()['model']}"


def change(server, base, rows, seen, **said):
    return server.put(f"{base}/labels", json={"rows": rows, "seen": seen, **said})


def test_labels_and_tags_are_kept_and_told(server, base, folder):
    assert server.get(f"{base}/labels").json()["rows"] == []
    told = change(server, base, [3, 5], 0, label="shirt", add_tags=["good"]).json()
    assert (told["revision"], told["labels"], told["counts"], told["tags"]) == (1, ["shirt"], [2], ["good"])
    assert (told["rows"], told["codes"], told["tagged"]) == ([3, 5], [0, 0], [["good"], ["good"]])
    told = change(server, base, [4], 1, label="coat").json()
    assert (told["labels"], told["rows"], told["codes"]) == (["coat", "shirt"], [4], [0])
    everything = server.get(f"{base}/labels").json()
    assert dict(zip(everything["rows"], everything["codes"], strict=True)) == {3: 1, 4: 0, 5: 1}
    assert Collection(folder).annotations().labels[3] == "shirt"


def test_steps_are_undone_and_redone(server, base):
    change(server, base, [3], 0, label="shirt")
    undone = server.post(f"{base}/labels/undo", params={"seen": 1}).json()
    assert (undone["rows"], undone["codes"], undone["undoable"], undone["redoable"]) == ([3], [-1], 0, 1)
    redone = server.post(f"{base}/labels/redo", params={"seen": 2}).json()
    assert (redone["rows"], redone["codes"], redone["revision"]) == ([3], [0], 3)
    assert server.post(f"{base}/labels/undo", params={"seen": 1}).status_code == 409


def test_a_second_window_sees_what_the_first_said(server, base):
    change(server, base, [3, 4], 0, label="shirt")
    refused = change(server, base, [4, 5], 0, label="coat")
    assert refused.status_code == 409
    assert "somebody else has labelled these images meanwhile" in refused.json()["error"]
    told = change(server, base, [6], 0, label="coat").json()  # another image
    assert told["rows"] == [3, 4, 6]  # with what the other window said
    assert change(server, base, [4], told["revision"], label="coat").status_code == 200


def test_an_image_that_nobody_knows_is_put_off_and_nothing_is_written(server, base, folder):
    told = server.get(f"{base}/labelling").json()
    first = told["question"]["rows"]
    answer = {"kind": told["question"]["kind"], "rows": first, "label": None, "seen": 0}
    told = server.put(f"{base}/labelling", json=answer).json()
    assert told["question"]["rows"] != first
    assert (told["progress"]["answers"], told["progress"]["named"], told["given"]["undoable"]) == (0, 0, 0)
    assert len(Collection(folder).annotations()) == 0
    # a label that is new makes the proposals anew: what was put off stays so
    given = {"kind": "one", "rows": told["question"]["rows"], "label": "coat", "seen": 0}
    told = server.put(f"{base}/labelling", json=given).json()
    assert told["progress"]["named"] == 1
    for _ in range(N - 2):
        question = told["question"]
        assert question["rows"] != first
        given = {"kind": question["kind"], "rows": question["rows"], "label": "coat", "seen": told["given"]["revision"]}
        told = server.put(f"{base}/labelling", json=given).json()
    assert told["question"]["rows"] == first
    progress = told["progress"]
    assert (progress["named"], progress["putOff"], progress["count"]) == (N - 1, 1, N)
    assert (progress["low"], progress["high"]) == (1, 1)  # of no other image
    # who does not know it then either gets to an end, and may look at it once more
    seen = told["given"]["revision"]
    answer = {"kind": "one", "rows": first, "label": None, "seen": seen}
    told = server.put(f"{base}/labelling", json=answer).json()
    assert (told["question"], told["progress"]["putOff"]) == (None, 1)
    assert server.get(f"{base}/labelling", params={"seen": seen}).json()["question"] is None
    told = server.put(f"{base}/labelling/rest", json={"does": "ask", "seen": seen}).json()
    assert told["question"]["rows"] == first
    assert told["given"]["revision"] == seen  # nothing was written


def test_proposals_are_taken_for_all_the_rest_in_one_step(server, base, folder):
    truth = [item.label for item in images().items]
    told = server.get(f"{base}/labelling").json()
    unknown = told["question"]["rows"]
    answer = {"kind": "one", "rows": unknown, "label": None, "seen": 0}
    told = server.put(f"{base}/labelling", json=answer).json()
    for _ in range(80):
        question, seen = told["question"], told["given"]["revision"]
        answer = {"kind": question["kind"], "rows": question["rows"], "label": truth[question["rows"][0]]}
        told = server.put(f"{base}/labelling", json={**answer, "seen": seen}).json()
    before, seen = told["progress"], told["given"]["revision"]
    assert before["sample"] > 0
    told = server.put(f"{base}/labelling/rest", json={"does": "take", "seen": seen}).json()
    after = told["progress"]
    assert after["taken"] == N - 1 - before["named"] > 0
    assert {**after, "taken": 0} == before  # they stay proposals: nobody looked at them
    assert told["question"]["rows"] == unknown
    said = Collection(folder).annotations()
    taken = said.how == "proposed"
    assert taken.sum() == after["taken"]
    assert all(label is not None for label in said.labels[taken])
    assert said.labels[unknown[0]] is None
    assert "proposed" in server.get(f"{base}/labels/file").text
    with client(folder) as again:  # it is remembered, and no answer for one of them is lost
        progress = again.get(f"{base}/labelling").json()["progress"]
        assert (progress["taken"], progress["named"]) == (after["taken"], after["named"])
    undone = server.post(f"{base}/labels/undo", params={"seen": told["given"]["revision"]}).json()
    assert len(undone["rows"]) == after["taken"]
    again = server.get(f"{base}/labelling", params={"seen": seen}).json()["progress"]
    # The questions are planned again, and may meet images of the random part: the machine has chosen these, then.
    chosen = before["sample"] - again["sample"]
    assert 0 <= chosen < before["sample"]
    moved = {"sample", "low", "high"} if chosen else set()
    assert {name: again[name] for name in again.keys() - moved} == {
        name: before[name] for name in before.keys() - moved
    }
    refused = server.put(f"{base}/labelling/rest", json={"does": "give", "seen": 0})
    assert refused.status_code == 422


def test_labels_are_a_file_for_those_who_may_give_them(server, base, folder, tmp_path):
    change(server, base, [3, 5], 0, label="shirt", add_tags=["good", "new"])
    answer = server.get(f"{base}/labels/file")
    assert answer.headers["content-disposition"] == 'attachment; filename="labels.csv"'
    Collection(folder).export_annotations(tmp_path / "same.csv")
    assert answer.content == (tmp_path / "same.csv").read_bytes()
    assert answer.text.count("shirt,good|new") == 2
    with client(folder, read_only=True) as shown:
        refused = shown.get(f"{base}/labels/file")
        assert refused.status_code == 403
        assert "says who gave each label and when" in refused.json()["error"]


def test_questions_are_answered_until_no_image_is_left(server, base):
    truth = [item.label for item in images().items]
    told = server.get(f"{base}/labelling", params={"batches": True}).json()
    asked: list[int] = []
    kinds: set[str] = set()
    assert told["question"]["label"] is None
    while (question := told["question"]) is not None:
        kinds.add(question["kind"])
        labels = {truth[row] for row in question["rows"]}
        fits = question["kind"] != "batch" or labels == {question["label"]}
        answer = {"kind": question["kind"], "rows": question["rows"], "label": labels.pop() if fits else None}
        asked += question["rows"] if fits else []
        seen = told["given"]["revision"]
        told = server.put(f"{base}/labelling", json={**answer, "seen": seen, "batches": True}).json()
        progress = told["progress"]
        assert 0 <= progress["low"] <= progress["high"] <= 1
    assert sorted(asked) == list(range(N))
    assert {"one", "audit"} <= kinds
    assert told["progress"]["named"] == told["progress"]["count"] == N
    given = server.get(f"{base}/labels").json()
    assert [given["labels"][code] for code in given["codes"]] == truth


def test_labelling_goes_on_where_it_was(folder):
    truth = [item.label for item in images().items]
    with client(folder) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        told = server.get(f"{base}/labelling").json()
        for _ in range(25):
            question, seen = told["question"], told["given"]["revision"]
            answer = {"kind": question["kind"], "rows": question["rows"], "label": truth[question["rows"][0]]}
            told = server.put(f"{base}/labelling", json={**answer, "seen": seen}).json()
    with client(folder) as server:
        again = server.get(f"{base}/labelling").json()
        assert again["progress"]["answers"] == 25
        assert again["progress"]["named"] == told["progress"]["named"]
        assert again["question"]["rows"][0] not in told["given"]["rows"]


@pytest.mark.parametrize("labels", ["mine", "merged"])
def test_a_state_keeps_its_labels_while_people_give_others(folder, monkeypatch, labels):
    monkeypatch.setattr(label_stage, "load_classifier", load := label_stage.load_classifier)
    with client(folder, labels=labels) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        for seen, (rows, label) in enumerate([(range(15), "a"), (range(15, 30), "b")]):
            change(server, base, list(rows), seen, label=label)
        app: Any = server.app
        workspace = app.state.explorer.workspace
        data = workspace.data(base.rpartition("/")[2])
        before = data.collection.labels.tolist()

        def load_late(collection, **settings):
            monkeypatch.setattr(label_stage, "load_classifier", load)
            assert change(server, base, list(range(30, 60)), 2, label="z").status_code == 200
            return load(collection, **settings)

        monkeypatch.setattr(label_stage, "load_classifier", load_late)
        assert "z" not in label_stage.predict_labels(data.collection).labels
        assert data.collection.results.stages["predictions"].stored is False
        assert data.collection.labels.tolist() == before
        assert server.get(f"{base}/labels", params={"v": data.state}).json()["labels"] == ["a", "b", "z"]
        now = workspace.data(data.key)
        assert now.state != data.state
        assert set(now.collection.labels[30:60].tolist()) == {"z"}
        assert "z" in label_stage.predict_labels(now.collection).labels
        assert workspace.data(data.key, data.state) is data
        server.post(f"{base}/labels/undo", params={"seen": 3})
        assert workspace.data(data.key).collection.labels.tolist() == before
    again = Collection(folder, labels=labels)
    assert "z" not in again.predictions().labels
    assert again.stages["predictions"].stored


def test_a_page_keeps_its_state_however_long_a_person_labels(folder):
    with client(folder, labels="merged") as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        shown = {"v": server.get(base).json()["state"]}
        for seen in range(6):
            body = {"rows": [seen], "label": "abcdef"[seen], "seen": seen}
            assert server.put(f"{base}/labels", json=body, params=shown).json()["revision"] == seen + 1
            assert server.get(f"{base}/labelling", params={**shown, "seen": seen}).status_code == 200
        undone = server.post(f"{base}/labels/undo", params={**shown, "seen": 6}).json()
        assert undone["labels"] == list("abcde")
        assert server.get(f"{base}/rows", params=shown).status_code == 200
        assert server.get(base).json()["state"] != shown["v"]


def test_a_server_that_only_shows_refuses(folder):
    with client(folder, read_only=True) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        assert change(server, base, [3], 0, label="shirt").status_code == 403
        assert server.post(f"{base}/labels/undo", params={"seen": 0}).status_code == 403
        answer = {"kind": "one", "rows": [3], "label": "shirt", "seen": 0}
        assert server.put(f"{base}/labelling", json=answer).status_code == 403
        assert server.put(f"{base}/labelling/rest", json={"does": "take", "seen": 0}).status_code == 403
        assert server.get(f"{base}/labels").json()["revision"] == 0
    assert not (folder / "annotations.parquet").exists()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"rows": []}, (400, 422)),
        ({"rows": [99999], "label": "x"}, (404,)),
        ({"rows": [-1]}, (400, 422)),
        ({"rows": [1], "label": "x" * 300}, (400, 422)),
        ({"label": "x"}, (400, 422)),
    ],
)
def test_odd_changes_are_refused(server, base, said, status):
    answer = server.put(f"{base}/labels", json={"seen": 0, **said})
    assert answer.status_code in status
    assert answer.json()["error"]
