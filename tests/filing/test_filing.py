import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dinoscope.base.digests import digest_bytes, sha256
from dinoscope.errors import InputError
from dinoscope.filing.acting import carry_out, undo
from dinoscope.filing.journal import read_journal, write_journal
from dinoscope.filing.names import FreeNames, folder_names, is_inside, safe_path
from dinoscope.filing.planning import Wanted, propose

NAMES = ("a/1.jpg", "a/2.jpg", "b/deep/1.jpg", "b/ö.jpg", "c.jpg")
posix = pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")


@pytest.fixture
def root(tmp_path):
    for name in NAMES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 5000)
        os.utime(path, ns=(10**18, 10**18 + len(name)))
    return tmp_path / "photos"


def tree(root):
    """Every file with what it holds and when it was written, every folder, every link with where it leads."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else "folder"
    return found


def seen(root, name):
    return digest_bytes((root / name).read_bytes())


def wanted(root, names=NAMES, folder=""):
    return [Wanted(name, seen(root, name), folder) for name in names]


def written(action, root, into, **more):
    found = propose(action, root, into, wanted(root, **more))
    assert not found.refused
    return write_journal(action, root, into, found.steps)


@pytest.mark.parametrize("action", ["move", "copy", pytest.param("link", marks=posix)])
def test_files_go_with_their_folders_and_come_back(root, tmp_path, action):
    before = tree(root)
    journal = written(action, root, tmp_path / "q")
    assert not (tmp_path / "q").exists()  # it is written down first
    assert carry_out(read_journal(journal)).done == 5
    for name in NAMES:
        assert (tmp_path / "q" / name).read_bytes() == name.encode() * 5000
        assert (root / name).exists() == (action != "move")
        assert (tmp_path / "q" / name).stat().st_mtime_ns == 10**18 + len(name)
    assert undo(read_journal(journal)).stayed == []
    assert tree(root) == before
    assert not (tmp_path / "q").exists()


def test_what_is_not_as_it_was_stays(root, tmp_path):
    asked = wanted(root)
    (root / "a/1.jpg").write_bytes(b"another picture")
    (root / "a/2.jpg").unlink()
    (root / "c.jpg").unlink()
    (root / "c.jpg").symlink_to(root / "b/ö.jpg")
    asked += [Wanted("../secret", "0"), Wanted("/etc/passwd", "0"), Wanted("b", "0")]
    found = propose("move", root, tmp_path / "q", asked)
    assert [step["from"] for step in found.steps] == ["b/deep/1.jpg", "b/ö.jpg"]
    reasons = dict(found.refused)
    assert reasons["a/1.jpg"] == "is not what it was when the collection was made"
    assert reasons["a/2.jpg"] == "is not there"
    assert reasons["c.jpg"] == "is a link, which may lead nowhere from another place"
    assert reasons["b"] == "is not a file"
    assert reasons["../secret"] == reasons["/etc/passwd"] == "is not below the folder of the images"


def test_a_copy_stays_where_the_one_to_keep_is_gone_or_changed_or_to_go(root, tmp_path):
    kept = ("b/ö.jpg", seen(root, "b/ö.jpg"))
    asked = [Wanted("a/1.jpg", seen(root, "a/1.jpg"), "", kept)]
    assert len(propose("move", root, tmp_path / "q", asked).steps) == 1
    both = [*asked, Wanted(*kept)]
    assert "is to go, too" in dict(propose("move", root, tmp_path / "q", both).refused)["a/1.jpg"]
    (root / kept[0]).write_bytes(b"changed")
    assert "which should stay instead of it, is not what" in propose("move", root, tmp_path / "q", asked).refused[0][1]
    (root / kept[0]).unlink()
    assert "which should stay instead of it, is not there" in propose("move", root, tmp_path / "q", asked).refused[0][1]


def test_a_large_file_is_known_by_its_size_and_time(root, tmp_path, monkeypatch):
    monkeypatch.setattr("dinoscope.filing.planning._WHOLE_BYTES", 10)
    status = (root / "c.jpg").stat()
    key = digest_bytes("c.jpg", f"{status.st_size} {status.st_mtime_ns}")
    assert len(propose("move", root, tmp_path / "q", [Wanted("c.jpg", key)]).steps) == 1
    os.utime(root / "c.jpg")
    assert propose("move", root, tmp_path / "q", [Wanted("c.jpg", key)]).steps == []


@pytest.mark.parametrize("action", ["move", "copy"])
def test_no_name_that_exists_is_overwritten(root, tmp_path, action):
    into = tmp_path / "q"
    (into / "a").mkdir(parents=True)
    (into / "a/1.jpg").write_bytes(b"mine")
    before = tree(into)
    journal = written(action, root, into)
    (into / "c.jpg").write_bytes(b"made meanwhile")
    outcome = carry_out(read_journal(journal))
    assert [name for name, _ in outcome.stayed] == ["c.jpg"]
    assert (into / "a/1.jpg").read_bytes() == b"mine"
    assert (into / "c.jpg").read_bytes() == b"made meanwhile"
    assert (into / "a/1 (2).jpg").read_bytes() == b"a/1.jpg" * 5000
    (into / "c.jpg").unlink()
    assert undo(read_journal(journal)).stayed == []
    assert tree(into).keys() == before.keys()
    assert (into / "a/1.jpg").read_bytes() == b"mine"


def test_what_is_copied_already_is_not_copied_again(root, tmp_path):
    carry_out(read_journal(written("copy", root, tmp_path / "q")))
    (root / "a/2.jpg").write_bytes(b"new")
    found = propose("copy", root, tmp_path / "q", wanted(root))
    assert found.there == 4
    assert [step["to"] for step in found.steps] == ["a/2 (2).jpg"]


def test_what_a_killed_run_left_of_its_journal_goes(root, tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "q.journal-1.json").touch()
    mine, other = (
        tmp_path / f".{name}.part-{int(ended.stdout)}-0@{socket.gethostname()}"
        for name in ("q.journal-1.json", "x.json")
    )
    mine.touch()
    other.touch()
    assert written("move", root, tmp_path / "q") == tmp_path / "q.journal-2.json"
    assert (mine.exists(), other.exists()) == (False, True)


def test_what_is_moved_already_counts_as_there(root, tmp_path):
    """A run that was killed: the same command again is not told that files are gone that it moved itself."""
    asked = wanted(root)
    carry_out(read_journal(written("move", root, tmp_path / "q", names=NAMES[:2])))
    (root / "c.jpg").unlink()
    found = propose("move", root, tmp_path / "q", asked)
    assert found.there == 2
    assert found.refused == [("c.jpg", "is not there")]
    assert [step["from"] for step in found.steps] == ["b/deep/1.jpg", "b/ö.jpg"]
    (tmp_path / "q/a/1.jpg").write_bytes(b"another")
    assert ("a/1.jpg", "is not there") in propose("move", root, tmp_path / "q", asked).refused


def test_what_was_changed_since_is_not_taken_away(root, tmp_path):
    into = tmp_path / "q"
    journal = written("copy", root, into)
    carry_out(read_journal(journal))
    (into / "a/1.jpg").write_bytes(b"painted over")
    (root / "c.jpg").unlink()
    assert dict(undo(read_journal(journal)).stayed) == {
        "a/1.jpg": "was changed since",
        "c.jpg": "is the only copy left",
    }
    assert sorted(tree(into)) == ["a", "a/1.jpg", "c.jpg"]


def test_a_moved_file_does_not_take_the_place_of_a_new_one(root, tmp_path):
    journal = written("move", root, tmp_path / "q")
    carry_out(read_journal(journal))
    (root / "c.jpg").write_bytes(b"new")
    outcome = undo(read_journal(journal))
    assert [name for name, _ in outcome.stayed] == ["c.jpg"]
    assert (root / "c.jpg").read_bytes() == b"new"
    assert (tmp_path / "q/c.jpg").read_bytes() == b"c.jpg" * 5000


def test_a_file_that_changes_between_plan_and_act_stays(root, tmp_path):
    journal = written("move", root, tmp_path / "q")
    (root / "c.jpg").write_bytes(b"new")
    assert carry_out(read_journal(journal)).stayed == [("c.jpg", "was changed since")]
    assert (root / "c.jpg").read_bytes() == b"new"


@pytest.mark.parametrize("place", ["photos", "photos/q", "photos/c.jpg", "file"])
def test_a_target_that_cannot_be_is_refused(root, tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"choose another|name another"):
        propose("move", root, tmp_path / place, wanted(root))


def test_a_journal_is_never_overwritten_and_checked(root, tmp_path):
    first = written("copy", root, tmp_path / "q")
    second = written("copy", root, tmp_path / "q")
    assert first != second
    with pytest.raises(InputError, match="is there already"):
        write_journal("copy", root, tmp_path / "q", [], second)
    text = second.read_text()
    second.write_text(text.replace("c.jpg", "d.jpg"))
    with pytest.raises(InputError, match="is not a journal"):
        read_journal(second)
    evil = write_journal("move", root, tmp_path / "q", [{"from": "c.jpg", "to": "../../x", "sha256": ""}])
    with pytest.raises(InputError, match="outside of the folders"):
        read_journal(evil)
    with pytest.raises(InputError, match="is not there"):
        read_journal(tmp_path / "nothing.json")


def test_names_of_folders_are_names_everywhere_and_never_the_same():
    texts = [
        "cats",
        "Cats",
        "T-shirt/top",
        "T-shirt-top",
        "..",
        "con",
        ".hidden",
        "日本",
        "a\nb",
        "x" * 300,
        "...",
        "end.",
    ]
    names = folder_names(texts)
    assert len({name.casefold() for name in names.values()}) == len(texts)
    assert all(is_inside(name) and "/" not in name and len(name) < 120 for name in names.values())
    assert names["cats"] == "cats"
    assert names["日本"] == "日本"
    assert not {"con", ".hidden", "..", "."} & set(names.values())


@posix
def test_names_are_cut_by_bytes_and_hide_nothing(tmp_path):
    for text in ("猫" * 100, "😺" * 60, "ä" * 200):
        [name] = folder_names([text]).values()
        assert name
        assert text.startswith(name)
        journal = tmp_path / f".{name}.journal-9999.json.part-4194304-0123456789@{'h' * 64}"
        journal.touch()  # as a journal beside it is written
        file = safe_path(f"{text}.jpeg")
        assert file.endswith(".jpeg")
        (tmp_path / file).touch()
    assert folder_names(["end . .", "a\u202egpj.exe", "b\x7fc"]) == {
        "end . .": "end",
        "a\u202egpj.exe": "agpj.exe",
        "b\x7fc": "b-c",
    }


def test_equal_names_are_numbered_and_quick():
    free = FreeNames()
    assert [free.take("a.png") for _ in range(5000)][-1] == "a (5000).png"
    assert free.take("a (7).png") == "a (7) (2).png"
    assert free.take("A.PNG") == "A (5001).PNG"
    assert [FreeNames().take("x"), free.take("\u00e9"), free.take("e\u0301")][1:] == ["\u00e9", "e\u0301 (2)"]


def test_another_disk_is_copied_compared_and_only_then_removed(root, tmp_path):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    into = shared / f"dinoscope-{os.getpid()}"
    before = tree(root)
    try:
        journal = write_journal(
            "move", root, into, propose("move", root, into, wanted(root)).steps, tmp_path / "j.json"
        )
        assert carry_out(read_journal(journal)).stayed == []
        assert [path for path in root.rglob("*") if path.is_file()] == []
        assert (into / "c.jpg").read_bytes() == b"c.jpg" * 5000
        assert undo(read_journal(journal)).stayed == []
        assert tree(root) == before
        assert not into.exists()
    finally:
        shutil.rmtree(into, ignore_errors=True)


KILLED = Path(__file__).parents[1] / "filing_killed.py"
FEW, MANY = 4, 30
CASES = [(action, disk) for action in ("move", "copy") for disk in ("same", "other")] + [("link", "same")]


def killed(journal, what, last, disk):
    command = [sys.executable, KILLED, journal, what, last, disk]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 137), done.stderr
    return None if done.returncode else int(done.stdout)


def check_killed(root, tmp_path, action, disk, tries):
    """Kill at so many changes of the disk, spread over the run; then undo, or go on and undo with a kill, too."""
    into, before = tmp_path / "q", tree(root)
    journal = written(action, root, into)
    total = killed(journal, "do", 0, disk)
    back = killed(journal, "undo", 0, disk)
    assert total is not None
    assert back is not None
    assert tree(root) == before
    for number in range(tries):
        assert killed(journal, "do", 1 + number * (total - 1) // max(1, tries - 1), disk) is None
        for step in read_journal(journal)["steps"]:  # every file is whole at one of its two places
            places = [path for path in (root / step["from"], into / step["to"]) if path.is_file()]
            assert places, step
            assert {sha256(path) for path in places} == {step["sha256"]}
        if number % 2:
            assert carry_out(read_journal(journal)).stayed == []
            assert killed(journal, "undo", 1 + number * (back - 1) // max(1, tries - 1), disk) is None
        assert undo(read_journal(journal)).stayed == []
        assert tree(root) == before
        assert not into.exists()


@posix
@pytest.mark.parametrize(("action", "disk"), CASES)
def test_a_killed_run_loses_nothing(root, tmp_path, action, disk):
    check_killed(root, tmp_path, action, disk, FEW)


@posix
@pytest.mark.stress
@pytest.mark.parametrize(("action", "disk"), CASES)
def test_thirty_killed_runs_lose_nothing(root, tmp_path, action, disk):
    check_killed(root, tmp_path, action, disk, MANY)


@posix
def test_a_run_that_was_killed_goes_on_by_the_same_command(root, tmp_path):
    into = tmp_path / "q"
    journal = written("move", root, into)
    asked = wanted(root)
    total = killed(journal, "do", 0, "same")
    assert total is not None
    undo(read_journal(journal))
    for last in range(2, total, 5):
        assert killed(journal, "do", last, "same") is None
        rest = propose("move", root, into, asked)
        assert {reason for _, reason in rest.refused} <= {"is not there"}  # moved already
        outcome = carry_out(read_journal(write_journal("move", root, into, rest.steps)))
        assert outcome.stayed == []
        assert sorted(str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()) == sorted(NAMES)
        assert undo(read_journal(journal)).stayed == []
