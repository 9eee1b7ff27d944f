"""The command explore, as a person starts it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import httpx
import pytest
from PIL import Image

from dinoscope.cli.look.explore import _listen, explore
from tests import PATIENCE, ROOT
from tests.pictures import encoded, photo
from tests.served import images, make_collection


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("served") / "mine", images(30))


@pytest.fixture
def start(folder):
    running: list[Any] = []

    def begin(*options, token=False, program=("-m", "dinoscope"), **settings):
        alone = () if token else ("--no-token",)
        command = [sys.executable, *program, "explore", str(folder), "--no-browser", *alone, *options]
        process: Any = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | settings)
        running.append(process)
        line = process.stderr.readline()
        return process, (re.findall(r"http://\S+", line) or [""])[0], line

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stderr.close()


def get(address, **settings):
    for _ in range(200):
        try:
            return httpx.get(address, **settings)
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def test_it_serves_and_ends_with_ctrl_c(start, folder):
    process, address, line = start("--port", "0", token=True)
    assert re.fullmatch(r"mine: http://127\.0\.0\.1:\d+/\?token=[\w-]{32} \(Ctrl-C ends it\)\n", line)
    page, token = address.split("?token=")
    assert get(page + "api/collection").status_code == 401
    assert get(page + "api/collection", headers={"Authorization": f"Bearer {token}"}).json()["name"] == "array"
    with httpx.Client(timeout=PATIENCE) as browser:
        assert browser.get(address).headers["content-type"].startswith("text/html")
        assert browser.get(page).headers["content-type"].startswith("text/html")
        assert browser.get(page + "api/collection").json()["writable"] is True
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""


def test_it_says_which_originals_are_not_found(start, tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "other.png")
    _, _, line = start("--port", "0", "--images", str(tmp_path))
    assert line == f"30 of 30 images are not in {tmp_path}: the page shows their thumbnails\n"


BUSY = """
import sys, time
import dinoscope.server.app, dinoscope.server.decoding
dinoscope.base.processes._PROGRAM = "import sys, time; sys.stdout.write('!'); sys.stdout.flush(); time.sleep(600)"
dinoscope.server.decoding.Decoders.__init__.__defaults__ = (600,)
explorer_answers = dinoscope.server.app.explorer_answers
explorer_answers.numbers = lambda *_: print("computing", file=sys.stderr, flush=True) or time.sleep(600)
from dinoscope.cli.main import main
main()
"""


def test_the_end_waits_for_nobody(start):
    process, address, _ = start("--port", "0", program=("-c", BUSY))
    model = get(f"{address}api/collection").json()["model"]
    port = int(re.findall(r":(\d+)/", address)[0])
    asked = []
    for head in (f"GET /api/models/{model}/maps/umap/numbers", f"POST /api/models/{model}/search"):
        asked.append(socket.create_connection(("127.0.0.1", port)))
        asked[-1].sendall(f"{head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx".encode())
    assert process.stderr.readline()  # what --no-token means
    assert process.stderr.readline() == "computing\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""
    for each in asked:
        assert each.recv(12) in (b"HTTP/1.1 409", b"")
        each.close()


def test_a_short_answer_does_not_wait_to_be_joined():
    async def ask() -> int:
        delays: list[int] = []

        def told(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            delays.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = _listen("127.0.0.1", None)
        async with await asyncio.start_server(told, sock=listening):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            await reader.read()
            writer.close()
        return delays[0]

    assert asyncio.run(ask()) == 1


def test_another_address_needs_a_token(start):
    _, address, _ = start("--host", "0.0.0.0", "--port", "0", token=True)
    ((port, token),) = re.findall(r":(\d+)/\?token=([\w-]{32})$", address)
    here = f"http://127.0.0.1:{port}/api/collection"
    assert get(here).status_code == 401
    assert get(here, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert get(f"http://127.0.0.1:{port}/?token={token}").status_code == 200


def test_a_token_of_ones_own(start):
    own = "my-own-token-of-20-letters"
    _, address, _ = start("--port", "0", token=True, DINOSCOPE_TOKEN=own)
    assert address.endswith(f"?token={own}")
    assert get(address.split("?")[0] + "api/collection").status_code == 401


def test_without_a_token_and_to_look_at_alone(start):
    process, address, _ = start("--port", "0", "--read-only")
    assert get(address + "api/collection").json()["writable"] is False
    assert "every user of this machine" in process.stderr.readline()


def test_a_browser_is_not_shown_the_token(folder, monkeypatch):
    """Other users can read its command line."""
    opened: list[str] = []
    monkeypatch.setattr("dinoscope.cli.look.explore.has_display", lambda: True)
    monkeypatch.setattr("webbrowser.open", opened.append)

    def run(server, sockets):
        server.started = True
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.daemon and "_open_browser" in thread.name:
                thread.join()
        sockets[0].close()

    monkeypatch.setattr("uvicorn.Server.run", run)
    own = "my-own-token-of-20-letters"
    explore(folder, port=0, token=own)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", opened[0])
    assert own not in opened[0]


def test_mistakes_are_one_line(run, folder, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "in").mkdir(parents=True)
    (photos / "a.png").write_bytes(encoded(photo(64), "PNG"))
    out.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mistakes = [
            ([folder, "--port", port], "cannot serve on 127.0.0.1 port"),
            ([folder, "--host", "no such host"], "is not an address"),
            ([folder, "--host", "192.0.2.1"], "cannot serve on 192.0.2.1"),
            ([folder, "--token", "short"], "16 to 200 characters"),
            ([folder, "--token", "a" * 16, "--no-token"], "leave one of them out"),
            ([folder, "--host", "0.0.0.0", "--no-token"], "this machine alone"),
            ([tmp_path], "is a folder but no collection"),
            ([folder, "--model", "dinov2-small"], "has no vectors of 'dinov2-small'"),
            ([folder, "--images", tmp_path / "nothing"], "nothing is called"),
            ([folder, "--allow-copy", out], "name the one with the images by --images"),
            ([folder, "--allow-copy", tmp_path / "gone", "--images", photos], "is not a folder: make it first"),
            ([folder, "--allow-copy", photos / "in", "--images", photos], "is in the folder of the images"),
            ([folder, "--allow-copy", folder, "--images", photos], "which takes no copies: choose another"),
            ([folder, "--allow-copy", out, "--images", photos, "--host", "0.0.0.0"], "is for you alone"),
            ([folder, "--allow-copy", out, "--images", photos, "--no-token"], "is for you alone"),
            ([folder, "--allow-copy", out, "--images", photos, "--allow-host", "proxy"], "is for you alone"),
            ([folder, "--allow-copy", out, "--images", photos, "--read-only"], "leave out --allow-copy"),
        ]
        for options, expected in mistakes:
            code, _, error = run("explore", *options, "--no-browser")
            assert code == 1, options
            assert expected in error
            assert len(error.splitlines()) == 1, error


def test_the_usual_port_may_be_taken(start):
    _, first, _ = start()
    _, second, _ = start()
    assert first != second
    assert get(first + "api/collection").status_code == get(second + "api/collection").status_code == 200


def test_help_loads_no_server():
    code = "import sys, dinoscope.cli.main; assert not {'fastapi', 'uvicorn', 'pydantic', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
