"""More clients than are good for the server, and clients that are slow on purpose."""

import logging
import socket
import time

import httpx
import pytest

from dinoscope.server import connections
from dinoscope.sources.folder import FolderSource
from dinoscope.stages.originals import Originals
from tests import PATIENCE
from tests.pictures import encoded, photo
from tests.served import images, live, make_collection


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("served") / "c", images(20))


def is_closed(connection):
    connection.settimeout(PATIENCE)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_idle_connections_make_room_for_those_that_ask(folder, monkeypatch, caplog):
    monkeypatch.setattr(connections, "_MOST", 20)
    with live(folder) as (port, _), caplog.at_level(logging.WARNING):
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.addHandler(caplog.handler)
        try:
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(80)]
            assert httpx.get(f"http://127.0.0.1:{port}/api/collection", timeout=PATIENCE).status_code == 200
            assert all(is_closed(each) for each in idle[:60])
        finally:
            uvicorn_log.removeHandler(caplog.handler)
        for each in idle:
            each.close()
    told = [record.getMessage() for record in caplog.records if "more than 20 connections" in record.getMessage()]
    assert len(told) == 1


def test_a_request_that_does_not_come_is_not_waited_for(folder, monkeypatch):
    monkeypatch.setattr(connections, "_HEAD", 0.5)
    with live(folder) as (port, _):
        silent, slow = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        with socket.create_connection(("127.0.0.1", port)) as good:
            good.sendall(b"GET /api/collection HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert good.recv(15) == b"HTTP/1.1 200 OK"
            assert is_closed(silent)
            assert is_closed(slow)
            good.sendall(b"GET /api/collection HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")  # an answered one is kept
            assert b"HTTP/1.1 200 OK" in good.recv(65536) + good.recv(65536)
        silent.close()
        slow.close()


@pytest.mark.parametrize("pause", [30.0, 0.2])
def test_a_download_may_be_paused_longer_than_other_answers(tmp_path, monkeypatch, pause):
    monkeypatch.setattr(connections, "_STALLED", 0.2)
    monkeypatch.setattr(connections, "_PAUSED", pause)
    file = tmp_path / "photos/a.png"
    file.parent.mkdir()
    file.write_bytes(encoded(photo(64), "PNG") + bytes(20_000_000))
    source = FolderSource(tmp_path / "photos")
    with live(make_collection(tmp_path / "c", source, "mini"), originals=Originals(source)) as (port, _):
        at = f"http://127.0.0.1:{port}"
        model = f"/api/models/{httpx.get(f'{at}/api/collection', timeout=PATIENCE).json()['model']}"
        key = httpx.post(f"{at}{model}/files", json={"rows": [0]}, headers={"Origin": at}, timeout=PATIENCE).json()[
            "key"
        ]
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # or the system takes all of it meanwhile
            slow.connect(("127.0.0.1", port))
            slow.sendall(f"GET {model}/files/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            time.sleep(1.5)
            slow.settimeout(PATIENCE)
            held = 0
            try:
                while piece := slow.recv(1 << 20):
                    held += len(piece)
            except ConnectionError:
                pass
    assert (held > 20_000_000) is (pause > 1)


def test_a_body_that_does_not_come_is_not_waited_for(folder, monkeypatch):
    monkeypatch.setattr("dinoscope.server.security._SECONDS", 0.5)
    with live(folder) as (port, _):
        model = httpx.get(f"http://127.0.0.1:{port}/api/collection", timeout=PATIENCE).json()["model"]
        for place in ("search", "query"):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as slow:
                head = f"POST /api/models/{model}/{place} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
                slow.sendall(head.encode() + b"{")
                assert slow.recv(12) == b"HTTP/1.1 408"


def test_the_same_message_is_logged_once_in_a_while(monkeypatch):
    seldom = connections._Seldom()
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def record(text):
        return logging.LogRecord("x", logging.WARNING, "", 0, text, (), None)

    assert [seldom.filter(record(text)) for text in ("a", "a", "b\n1", "b\n2")] == [True, False, True, False]
    now[0] = 61.0
    assert seldom.filter(record("a"))
