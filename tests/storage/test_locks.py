import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from dinoscope.errors import CollectionError, WriteError
from dinoscope.storage.locks import deciding, holder, is_held, locked
from dinoscope.storage.progress import PROGRESS_FILE, ProgressRecord, RunningEmbedding, read_progress

_HOLD = """
import sys, time
from pathlib import Path
from dinoscope.storage.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def other_process(folder):
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path):
    with other_process(tmp_path) as process:
        assert is_held(tmp_path)
        told = (
            rf"in use .*\(python, process {process.pid} on {socket.gethostname()}, since \d{{4}}-.*wait for it to end"
        )
        with pytest.raises(CollectionError, match=told), locked(tmp_path):
            pass


def test_a_second_writer_waits(tmp_path, monkeypatch):
    said = []
    with other_process(tmp_path) as process:
        assert process.stdin is not None

        def let_go(text):  # not before it waits, however slow the machine is
            said.append(text)
            process.stdin.write(b"go\n")
            process.stdin.flush()

        monkeypatch.setattr("dinoscope.storage.locks.remark", let_go)
        with locked(tmp_path, wait=60):
            known = holder(tmp_path)
            assert known is not None
            assert known.pid == os.getpid()
    (told,) = said
    assert f"process {process.pid} on" in told
    assert "waiting up to 60 s" in told


def test_waiting_ends(tmp_path):
    with other_process(tmp_path):
        began = time.monotonic()
        with pytest.raises(CollectionError, match="in use by another dinoscope process"), locked(tmp_path, wait=0.3):
            pass
        assert time.monotonic() - began >= 0.3


def test_a_killed_holder_frees_the_lock(tmp_path):
    with other_process(tmp_path) as process:
        process.kill()
        process.wait()
        assert holder(tmp_path) is not None  # its card still lies there
        assert not is_held(tmp_path)
        with locked(tmp_path):
            assert is_held(tmp_path)
        assert holder(tmp_path) is None
    assert not is_held(tmp_path)


@pytest.mark.parametrize("lock", [locked, deciding])
def test_a_file_system_without_locks(tmp_path, monkeypatch, lock):
    """As some network file systems are, which say so in several ways."""
    refusals = [OSError(number, os.strerror(number)) for number in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)]
    for refusal in (*refusals, NotImplementedError("flock is not there")):

        def refuse(*_, refusal=refusal, **__):
            raise refusal

        monkeypatch.setattr("filelock.FileLock.acquire", refuse)
        with pytest.raises(WriteError) as told, lock(tmp_path):
            pass
        assert "its file system has no locks" in str(told.value)
        assert "make it on a local disk and copy it there" in str(told.value)


@pytest.mark.parametrize("lock", [locked, deciding])
def test_a_lock_makes_no_folder(tmp_path, lock):
    with pytest.raises(CollectionError, match="gone is gone: it was deleted or moved"), lock(tmp_path / "gone"):
        pass
    assert not is_held(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_card_is_no_obstacle(tmp_path):
    (tmp_path / ".lock-holder.json").write_text("{")
    with locked(tmp_path):
        pass
    with other_process(tmp_path):
        (tmp_path / ".lock-holder.json").write_text('{"pid": 1}')
        with pytest.raises(CollectionError, match="which one is not known"), locked(tmp_path):
            pass


def test_progress_of_a_living_run(tmp_path, monkeypatch):
    monkeypatch.setattr("dinoscope.storage.progress._SECONDS", 1e9)  # however slow the machine is
    assert read_progress(tmp_path) is None
    with locked(tmp_path):
        record = ProgressRecord(tmp_path, "mini", 400, None)
        record.advance(100, 64)
        found = read_progress(tmp_path)
        assert isinstance(found, RunningEmbedding)
        assert (found.done, found.total, found.written, found.model, found.pid) == (100, 400, 64, "mini", os.getpid())
        assert found.seconds_left == pytest.approx(300 / found.images_per_second)
        record.advance(101, 64)  # so soon after the last one: not written
        assert read_progress(tmp_path) == found
        record.record(100)
        assert getattr(read_progress(tmp_path), "done", None) == 101
        record.remove()
        assert read_progress(tmp_path) is None


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_progress_of_a_killed_run_does_not_count(tmp_path):
    with other_process(tmp_path) as process:
        record = {
            "done": 1,
            "total": 2,
            "written": 0,
            "images_per_second": 1.0,
            "seconds_left": 1.0,
            "model": "mini",
            "pid": process.pid,
            "host": "here",
            "updated": time.time(),
        }
        (tmp_path / PROGRESS_FILE).write_text(json.dumps(record))
        assert read_progress(tmp_path) == RunningEmbedding(**record)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert read_progress(tmp_path) is None
    (tmp_path / PROGRESS_FILE).write_text("{}")
    with locked(tmp_path):
        assert read_progress(tmp_path) is None
