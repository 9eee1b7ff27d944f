"""The explorer's server under crowds: its owner is answered, its log and its memory stay small."""

import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

from tests import PATIENCE, ROOT
from tests.pictures import encoded, photo
from tests.served import images, make_collection

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc"),
]

UPLOADS, AT_ONCE = 200, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("served") / "c", images(130))


@contextmanager
def explored(folder, log):
    """Run explore with the usual 1,024 files; yields port, model and process."""
    command = ["sh", "-c", 'ulimit -S -n 1024; exec "$@"', "sh", sys.executable, "-m", "dinoscope", "explore"]
    options = [str(folder), "--no-browser", "--no-token", "--port", "0"]
    with log.open("wb") as out, subprocess.Popen([*command, *options], stderr=out) as process:
        try:
            while not (found := re.search(r":(\d+)/", log.read_text())):
                assert process.poll() is None
                time.sleep(0.1)
            port = int(found[1])
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
                for _ in range(300):
                    with suppress(httpx.TransportError):
                        model = client.get("/api/collection", timeout=PATIENCE).json()["model"]
                        break
                    time.sleep(0.1)
                client.post(f"/api/models/{model}/search", content=encoded(photo(), "PNG")).raise_for_status()
            yield SimpleNamespace(port=port, model=model, pid=process.pid)
        finally:
            process.terminate()


def memory(pid):
    """Bytes that a process and those that it started hold."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            children += (task / "children").read_text().split()
    total = 0
    for each in sorted({str(pid), *children}):
        with suppress(OSError):
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def test_the_owner_is_answered_in_a_crowd(folder, tmp_path):
    log = tmp_path / "log"
    with explored(folder, log) as server:
        command = [sys.executable, "-m", "tests.crowd", str(server.port), f"/api/models/{server.model}/images/1"]
        clicks = []
        with subprocess.Popen(command, cwd=ROOT) as crowd:
            while crowd.poll() is None:
                began = time.monotonic()
                connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
                connection.request("GET", f"/api/models/{server.model}/images/0")
                assert connection.getresponse().status == 200
                connection.close()
                clicks.append(time.monotonic() - began)
                time.sleep(0.5)
        assert crowd.returncode == 0
    told = log.stat().st_size
    sys.stdout.write(f"slowest of {len(clicks)} clicks {max(clicks):.2f} s, log {told} bytes\n")
    assert max(clicks) < 2
    assert told < 1_000_000


def test_uploads_of_clients_that_leave_take_no_memory(folder, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2560, 2560, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG", compress_level=0)
    content = out.getvalue()
    assert 19e6 < len(content) < 20e6
    with explored(folder, tmp_path / "log") as server:
        for _ in range(2):
            send(server, content, leave=False)
        start, most, done = memory(server.pid), 0, threading.Event()

        def watch():
            nonlocal most
            while not done.wait(0.05):
                most = max(most, memory(server.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        left = list(range(UPLOADS))

        def some():
            while left:
                left.pop()
                send(server, content, leave=True)

        senders = [threading.Thread(target=some) for _ in range(AT_ONCE)]
        for each in senders:
            each.start()
        for each in senders:
            each.join()
        done.set()
        watching.join()
        time.sleep(30)
        after = memory(server.pid)
        sys.stdout.write(f"start {start / 1e6:.0f} MB, most {most / 1e6:.0f} MB, after {after / 1e6:.0f} MB\n")
        assert most < 700e6
        assert after < start + 40e6
        assert (
            httpx.get(f"http://127.0.0.1:{server.port}/api/models/{server.model}", timeout=PATIENCE).status_code == 200
        )


def send(server, content, *, leave):
    place = f"/api/models/{server.model}/reasons?of=1&of=2&of=3&of=4"
    if not leave:
        httpx.post(f"http://127.0.0.1:{server.port}{place}", content=content, timeout=PATIENCE).raise_for_status()
        return
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        head = f"POST {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)
