"""Requests that nobody means well with: the server answers each with a 4xx, tells nothing, and lives."""

from __future__ import annotations

import io
import json
import random
import socket
import sys
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image
from schemathesis import GenerationMode, openapi
from schemathesis.checks import CHECKS

from dinoscope.server.app import create_app
from dinoscope.server.security import MAX_UPLOAD, Access
from tests import PATIENCE
from tests.pictures import bare_png, encoded, photo
from tests.served import client, images, live, make_collection

resource = pytest.importorskip("resource")  # not on Windows

SECRET = "the content of a file beside the collection"
TRAVERSALS = (
    "../secret.txt",
    "..%2f..%2fsecret.txt",
    "%2e%2e/%2e%2e/secret.txt",
    "....//secret.txt",
    "..\\secret.txt",
    "..%5csecret.txt",
    "%c0%ae%c0%ae/secret.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "~",
    ".",
    "..",
    "%00",
    "umap%00.parquet",
    "a" * 5000,
    "%F0%9F%90%8D",
    "%ff%fe",
    "-1",
    "1e99",
    "NaN",
    "9" * 400,
    "0x10",
    "'; DROP TABLE images;--",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>",
    "%0d%0aX-Injected:%201",
    "con",
    "\u202etxt",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("served")
    (place / "secret.txt").write_text(SECRET)
    return make_collection(place / "c", images(60))


@pytest.fixture(scope="module")
def server(folder):
    with client(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(server):
    return server.get("/api/collection").json()["model"]


@pytest.fixture(scope="module")
def port(folder):
    with live(folder) as (port, _):
        yield port


def check(answer, folder):
    assert answer.status_code < 500, (str(answer.request.url)[:200], answer.text)
    for private in (SECRET, str(folder.parent), "root:x:"):
        assert private.encode() not in answer.content, str(answer.request.url)[:200]
    assert "x-injected" not in answer.headers


def test_traversal_in_every_parameter(server, model, folder):
    before = sorted(str(path) for path in folder.parent.rglob("*"))
    places = [
        "/{x}",
        "/assets/{x}",
        "/api/{x}",
        "/api/models/{x}",
        "/api/models/{m}/{x}",
        "/api/models/{m}/columns/{x}",
        "/api/models/{m}/maps/{x}",
        "/api/models/{m}/maps/{x}/trust",
        "/api/models/{m}/maps/{x}/numbers",
        "/api/models/{m}/maps/{x}/beside?other={x}&map={x}",
        "/api/models/{m}/maps/umap/beside?other={m}&map={x}",
        "/api/models/{m}/moved?other={x}",
        "/api/models/{m}/sheets/{x}",
        "/api/models/{m}/images/{x}",
        "/api/models/{m}/images/{x}/picture",
        "/api/models/{m}/rows?v={x}",
        "/api/models/{m}/find?text={x}",
        "/api/models/{m}/files/{x}",
    ]
    asked = 0
    for place in places:
        for bad in TRAVERSALS:
            answer = server.get(place.replace("{m}", model).replace("{x}", bad))
            check(answer, folder)
            asked += 1
            inside = place.startswith("/api/models") and "find" not in place and bad not in (".", "..", "../secret.txt")
            if inside and answer.status_code == 200:  # an address that leads out of /api is the page
                assert answer.headers["content-type"].startswith("text/html"), (place, bad)
    assert asked > 400
    results = str(folder / "results")  # what was computed on the way
    after = sorted(str(path) for path in folder.parent.rglob("*") if not str(path).startswith(results))
    assert after == [path for path in before if not path.startswith(results)]


def test_bodies_of_wrong_types(server, model, folder):
    values: list[Any] = [
        None,
        True,
        -1,
        0.5,
        2**64,
        1e308,
        "x",
        "",
        [],
        {},
        [[]],
        [None],
        ["0"],
        [-1],
        [2**32],
        [1.5],
        {"rows": 1},
        "../secret.txt",
    ]
    base = f"/api/models/{model}"
    asked = 0
    for value in values:
        for body in (
            value,
            {"rows": value},
            {"rows": [0], "k": value},
            {"rows": value, "k": 1, "more": 1},
            {"rows": [0], "format": value},
            {"rows": [0], "format": "csv", "name": value},
            {"dismissed": value},
            {"rows": [0], "folder": value},
        ):
            for method, place in (
                ("post", "query"),
                ("post", "export"),
                ("post", "files"),
                ("post", "copies"),
                ("put", "findings/duplicates-0"),
            ):
                answer = server.request(method, f"{base}/{place}", json=json.loads(json.dumps(body)))
                check(answer, folder)
                asked += 1
    raw = [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"rows": [' + b"1," * 50_000,
        b'{"rows":[1e400]}',
        b'{"rows":[NaN]}',
        b"\xff\xfe{}",
        b'{"rows":[' + b"9" * 5000 + b"]}",
        b"\x00" * 1000,
    ]
    for content in raw:
        for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", "nonsense"):
            answer = server.post(f"{base}/query", content=content, headers={"Content-Type": kind})
            check(answer, folder)
            assert 400 <= answer.status_code < 500
            asked += 1
    assert asked > 400


def bombs():
    side = 30_000
    line = zlib.compress(bytes(side * 100), 9)
    return {
        "png header": bare_png(side, side, line),
        "png of 49 million pixels without data": bare_png(7000, 7000, b""),
        "png line bomb": bare_png(2**31 - 1, 1, line),
        "png no pixels": bare_png(0, 0, b""),
        "jpeg of 65500 x 65500": encoded(photo(16), "JPEG").replace(b"\x00\x10\x00\x10\x03", b"\xff\xdc\xff\xdc\x03"),
        "zip with a jpeg's beginning": b"\xff\xd8\xff\xe0" + b"PK\x03\x04" + zlib.compress(bytes(50_000_000), 9),
        "gif": b"GIF89a\xff\xff\xff\xff\x80\x00\x00" + bytes(100),
        "webp": b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(100),
        "tiff that points at itself": b"II*\x00\x08\x00\x00\x00" + b"\xff\xff" + bytes(200),
        "bmp": b"BM" + b"\xff" * 100,
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "html": b"<!doctype html><script>alert(1)</script>",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "empty": b"",
        "cut jpeg": encoded(photo(300), "JPEG")[:4000],
        "cut png": encoded(photo(300), "PNG")[:4000],
    }


def test_uploads_that_are_no_images(server, model, folder):
    place = f"/api/models/{model}/search?map=umap"
    for name, content in bombs().items():
        answer = server.post(place, content=content)
        check(answer, folder)
        assert answer.status_code == 400, (name, answer.text)
        assert answer.json().keys() == {"error"}
    noise = random.Random(0)
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        good = encoded(photo(), form)
        for _ in range(10):
            damaged = bytearray(good)
            for _ in range(8):
                damaged[noise.randrange(2, len(damaged))] = noise.randrange(256)
            check(server.post(place, content=bytes(damaged)), folder)
    assert server.post(place, content=encoded(photo(), "PNG")).status_code == 200


def test_large_uploads_are_cut_off(server, model):
    place = f"/api/models/{model}/search"
    assert server.post(place, content=bytes(MAX_UPLOAD + 1)).status_code == 413

    def pieces():  # without a length that is announced
        for _ in range(MAX_UPLOAD // 1_000_000 + 2):
            yield bytes(1_000_000)

    assert server.post(place, content=pieces()).status_code == 413
    answer = server.post(f"/api/models/{model}/query", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    headers = {"Content-Length": "9" * 30}
    assert server.post(place, content=b"x", headers=headers).status_code == 413


def test_an_image_of_more_than_50_million_pixels_is_not_decoded(server, model):
    large = io.BytesIO()
    Image.new("L", (7100, 7100)).save(large, "PNG")
    answer = server.post(f"/api/models/{model}/search", content=large.getvalue())
    assert answer.status_code == 400
    assert "50 million" in answer.json()["error"]


def test_broken_http(port, model):
    search = f"POST /api/models/{model}/search HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    broken = [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET //etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        (search + "Content-Length: 1000\r\n\r\ncut").encode(),
        (search + "Content-Length: -1\r\n\r\n").encode(),
        (search + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").encode(),
        (search + "Transfer-Encoding: chunked\r\n\r\nzz\r\nnonsense").encode(),
        (search + "Transfer-Encoding: chunked\r\n\r\nff\r\nshort").encode(),
        (search + "Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n").encode(),
    ]
    for content in broken * 3:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            answer = b""
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)  # cut short
                while piece := connection.recv(65536):
                    answer += piece
            except OSError:  # the server hung up: it was sent more than it wanted to read
                pass
        assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")), content[:80]
        assert b"root:" not in answer
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /api/collection HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_memory_stays_bounded(server, model):
    """The most that 60 bombs may add is what decoding one allowed image takes."""
    place = f"/api/models/{model}/search"
    server.post(place, content=encoded(photo(), "PNG"))
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    contents = list(bombs().values())
    for _ in range(4):
        for content in contents:
            server.post(place, content=content)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert after - before < 500e6


def test_the_description_is_true(folder, model):
    """Schemathesis asks what the description allows, and what it does not, and compares the answers with it."""
    app = create_app(folder, warm=False, access=Access(hosts=frozenset({"testserver", "localhost"})))
    schema = openapi.from_asgi("/api/openapi.json", app)
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    assert len(operations) == 57
    # no description says what is a JPEG, how many images there are to divide, or which texts are labels
    said_by_the_content = CHECKS.get_one("positive_data_acceptance")

    for operation in operations:
        depends = operation.path.endswith(
            ("/search", "{model}/reasons", "{model}/clusters", "{model}/labels", "{model}/labelling")
        )
        excluded = [said_by_the_content] if depends else []
        _ask(operation, GenerationMode.POSITIVE, excluded, model)
        if "{model}" in operation.path:  # else there is nothing to get wrong
            _ask(operation, GenerationMode.NEGATIVE, excluded, None)


def _ask(operation, mode, excluded, model):
    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        if model is not None and case.path_parameters:
            case.path_parameters["model"] = model
            if case.query:
                case.query.pop("v", None)  # of a state that never was there is nothing but a refusal
        case.call_and_validate(excluded_checks=excluded)

    ask()
