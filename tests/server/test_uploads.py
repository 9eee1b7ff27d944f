"""Images that are sent: decoded in processes that can be ended, and dropped with the client that sent them."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from dinoscope.base import processes
from dinoscope.errors import ImageError
from dinoscope.models.encoder import Encoder
from dinoscope.server.decoding import Decoders
from tests import PATIENCE
from tests.pictures import encoded, photo
from tests.served import images, live, make_collection, until_stopped

IMAGE = encoded(photo(), "PNG")
SLOW = """
import sys, time; sys.path.append(sys.argv[1])
from dinoscope.server import decoder
square = decoder._square
decoder._square = lambda content, *settings: time.sleep(600) if content == b"SLOW" else square(content, *settings)
decoder.main()
"""
LIES = """
import sys
for text in (b"!", bytes([{is_picture}, 255, 255, 255, 255])):
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
"""


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("served") / "c", images(40))


@pytest.fixture
def decoders():
    made = Decoders()
    yield made
    made.stop()


def programmed(monkeypatch, text):
    monkeypatch.setattr(processes, "_PROGRAM", text)


def test_an_upload_is_what_a_file_is(decoders, encoder):
    for _ in range(2):
        np.testing.assert_array_equal(decoders.square(memoryview(IMAGE), encoder), encoder.square(IMAGE))
    (process,) = decoders._all  # kept
    if os.name != "nt":
        assert os.getpgid(process.pid) != os.getpgid(0)  # Ctrl-C is not for it
    decoders.stop()
    assert process.poll() is not None


def test_a_file_that_takes_for_ever_is_one_error(encoder, monkeypatch):
    programmed(monkeypatch, SLOW)
    decoders = Decoders(2)
    with pytest.raises(ImageError, match="it takes longer than 2 seconds to decode"):
        decoders.square(memoryview(b"SLOW"), encoder)
    assert decoders._all == set()
    decoders = Decoders()
    assert decoders.square(memoryview(IMAGE), encoder).shape == (28, 28, 3)
    decoders.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the environment is read from /proc")
def test_the_process_is_not_told_what_is_secret(decoders, encoder, monkeypatch):
    monkeypatch.setenv("DINOSCOPE_TOKEN", "only-for-the-server")
    decoders.square(memoryview(IMAGE), encoder)
    (process,) = decoders._all
    told = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"PATH=" in told
    assert b"only-for-the-server" not in told


@pytest.mark.parametrize(
    "program", ["", "import sys; sys.stdout.write('!')", LIES.format(is_picture=1), LIES.format(is_picture=0)]
)
def test_a_process_that_ends_or_lies_is_one_error(decoders, encoder, monkeypatch, program):
    programmed(monkeypatch, program)
    with pytest.raises(ImageError, match="it cannot be decoded"):
        decoders.square(memoryview(IMAGE), encoder)
    assert decoders._all == set()


def test_an_image_that_nobody_waits_for_holds_up_nothing(folder, monkeypatch):
    programmed(monkeypatch, SLOW)
    with live(folder) as (port, app):
        app.state.explorer.decoders._seconds = 600
        address = f"http://127.0.0.1:{port}"
        model = httpx.get(f"{address}/api/collection", timeout=PATIENCE).json()["model"]
        place = f"/api/models/{model}/search"
        head = f"POST {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nSLOW"
        with socket.create_connection(("127.0.0.1", port)) as first:
            first.sendall(head.encode())
            wait(lambda: app.state.explorer.decoding.busy)
            assert httpx.get(f"{address}/api/models/{model}/images/0", timeout=PATIENCE).status_code == 200
        wait(lambda: not app.state.explorer.decoding.busy)  # its process has been ended
        assert httpx.post(address + place, content=IMAGE, timeout=PATIENCE).status_code == 200


def test_looking_inside_ends_with_the_one_who_asked(folder, monkeypatch):
    begun, ended = threading.Event(), threading.Event()

    def windows(*_, on_progress, **__):
        until_stopped(lambda: on_progress(0, 1), begun, ended)

    monkeypatch.setattr("dinoscope.server.app.windows", windows)
    with live(folder) as (port, app):
        address = f"http://127.0.0.1:{port}"
        place = f"/api/models/{httpx.get(f'{address}/api/collection', timeout=PATIENCE).json()['model']}/search"
        head = f"POST {place}?inside=true HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(IMAGE)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port)) as first:
            first.sendall(head.encode() + IMAGE)
            assert begun.wait(PATIENCE)
            # its turn comes at once
            assert httpx.post(address + place, content=IMAGE, timeout=PATIENCE).status_code == 200
            assert not ended.is_set()
        assert ended.wait(PATIENCE)
        wait(lambda: not app.state.explorer.heavy.busy)


def wait(holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come to that")
