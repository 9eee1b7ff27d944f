"""Who may ask the explorer's server, and what no answer may carry."""

import pytest
from fastapi.testclient import TestClient

from dinoscope.server.app import create_app
from dinoscope.server.security import Access, host_name, is_loopback
from tests.pictures import encoded, photo
from tests.served import client, images, make_collection

TOKEN = "0123456789abcdef-token"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("served") / "c", images(40))


@pytest.fixture(scope="module")
def app(folder):
    return create_app(folder, warm=False)


@pytest.fixture
def server(app):
    return TestClient(app, base_url="http://127.0.0.1:8347")


@pytest.fixture(scope="module")
def guarded(folder):
    return create_app(folder, warm=False, access=Access.of("0.0.0.0", TOKEN, ["Maps.Example"], 8347))


def ask(app, base_url, path="/api/collection", **settings):
    return TestClient(app, base_url=base_url, follow_redirects=False).get(path, **settings)


def test_only_this_machines_names_are_served(app):
    for good in ("127.0.0.1:8347", "localhost:1", "LOCALHOST", "[::1]:8347", "localhost."):
        assert ask(app, "http://127.0.0.1", headers={"Host": good}).status_code == 200, good
    for bad in (
        "evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.7:8347",
        "localhost.evil",
        "",
        "[::1",
        "127.0.0.1@x",
    ):
        answer = ask(app, "http://127.0.0.1", headers={"Host": bad})
        assert (answer.status_code, answer.json().keys()) == (403, {"error"}), bad
        assert "access-control-allow-origin" not in answer.headers


def test_names_of_a_server_open_to_others():
    access = Access.of("0.0.0.0", TOKEN, ["Maps.Example"])
    assert access.knows("192.168.1.7:8347")  # an address cannot be pointed elsewhere
    assert access.knows("[fe80::1]:8347")
    assert access.knows("maps.example")
    assert not access.knows("evil.example")
    one = Access.of("192.168.1.7", TOKEN)
    assert one.knows("192.168.1.7:8347")
    assert not one.knows("192.168.1.8:8347")


@pytest.mark.parametrize(
    ("host", "name", "own"),
    [
        ("localhost", "localhost", True),
        ("127.0.0.1:80", "127.0.0.1", True),
        ("127.8.8.8", "127.8.8.8", True),
        ("[::1]:80", "::1", True),
        ("::1", "::1", True),
        ("0.0.0.0", "0.0.0.0", False),
        ("::", "::", False),
        ("example.org:1", "example.org", False),
        ("10.0.0.1", "10.0.0.1", False),
    ],
)
def test_loopback(host, name, own):
    assert host_name(host) == name
    assert is_loopback(host) is own


def test_other_pages_are_refused(server):
    model = server.get("/api/collection").json()["model"]
    content = encoded(photo(), "PNG")
    place = f"/api/models/{model}/search"
    assert server.post(place, content=content, headers={"Origin": "http://127.0.0.1:8347"}).status_code == 200
    assert server.post(place, content=content).status_code == 200  # a program, not a page
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8347", ""):
        assert server.post(place, content=content, headers={"Origin": origin}).status_code == 403, origin
    for site in ("cross-site", "same-site"):
        assert server.get("/api/collection", headers={"Sec-Fetch-Site": site}).status_code == 403
        assert server.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link may lead here
    for site in ("same-origin", "none"):
        assert server.get("/api/collection", headers={"Sec-Fetch-Site": site}).status_code == 200
    answer = server.options("/api/collection", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/api/collection", "/api/nothing", "/nothing", "/api/models/x"])
def test_every_answer_carries_the_headers(server, path):
    headers = server.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"] + policy["style-src"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_a_token_is_needed_everywhere(guarded):
    for path in ("/", "/api/collection", "/api/openapi.json", "/assets/x.js", "/nothing"):
        answer = ask(guarded, "http://192.168.1.7", path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    for wrong in ("Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"):
        assert ask(guarded, "http://192.168.1.7", headers={"Authorization": wrong.encode()}).status_code == 401, wrong
    answer = ask(guarded, "http://192.168.1.7", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert ask(guarded, "http://192.168.1.7", f"/api/collection?token={TOKEN}").status_code == 401  # only the page
    # an address beside the network is refused with the token, too
    headers = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}
    assert ask(guarded, "http://192.168.1.7", headers=headers).status_code == 403


def test_the_printed_address_leaves_a_cookie(guarded):
    browser = TestClient(guarded, base_url="http://maps.example", follow_redirects=False)
    assert browser.get("/?token=wrong").status_code == 401
    answer = browser.get(f"/?token={TOKEN}&map=%22%3E%3Cscript%3E")
    assert answer.status_code == 200
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("dinoscope-8347-"))
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in str(answer.headers) + answer.text  # nor in the address that it leads to
    assert 'http-equiv="refresh"' in answer.text
    assert "<script" not in answer.text
    assert browser.get("/api/collection").status_code == 200
    assert TestClient(guarded, base_url="http://maps.example").get("/api/collection").status_code == 401


def test_a_cookie_is_of_one_server_alone(folder, guarded):
    """A browser shows it to every port of the machine."""
    let_in = TestClient(guarded, base_url="http://127.0.0.1:8347")
    let_in.get(f"/?token={TOKEN}")
    name = next(each for each in let_in.cookies if each.startswith("dinoscope-8347-"))
    for port in (8347, 8348):  # of the same token: one started anew, and one beside it
        other = create_app(folder, warm=False, access=Access.of("127.0.0.1", TOKEN, port=port))
        for header in (f"{name}={let_in.cookies[name]}", f"{name}={TOKEN}"):
            assert ask(other, "http://127.0.0.1", headers={"Cookie": header}).status_code == 401
        headers = {"Cookie": f"{name}={let_in.cookies[name]}"}
        given = ask(other, "http://127.0.0.1", f"/?token={TOKEN}", headers=headers).headers.get_list("set-cookie")
        is_gone = any(each.startswith(f"{name}=; Max-Age=0") for each in given)
        assert is_gone is (port == 8347)  # what a server that has ended left at this port


def test_a_ticket_opens_the_page_once(folder):
    access = Access.of("127.0.0.1", TOKEN)
    app = create_app(folder, warm=False, access=access)
    assert ask(app, "http://127.0.0.1", headers={"Authorization": f"Bearer {access.ticket}"}).status_code == 401
    browser = TestClient(app, base_url="http://127.0.0.1")
    assert browser.get(f"/?token={access.ticket}").status_code == 200
    assert browser.get("/api/collection").status_code == 200
    assert ask(app, "http://127.0.0.1", f"/?token={access.ticket}").status_code == 401
    assert access.ticket not in (repr(access), TOKEN)


def test_a_cookie_of_somebody_else_does_not_hide_the_token(folder):
    access = Access.of("0.0.0.0", TOKEN)
    guarded = create_app(folder, warm=False, access=access)
    own = f"{access.cookie}={access.session}"
    for cookies in (f'other={{"a":1}}; {own}', f"{own}; a,b=[1]; =", f'"; {own}', own):
        assert ask(guarded, "http://192.168.1.7", headers={"Cookie": cookies}).status_code == 200, cookies
    assert ask(guarded, "http://192.168.1.7", headers={"Cookie": f"{own}x"}).status_code == 401


def test_no_answer_names_the_folder(folder, tmp_path):
    broken = make_collection(tmp_path / "secret-place", images(20))
    with client(broken) as server:
        model = server.get("/api/collection").json()["model"]
        for part in broken.glob("details/*"):
            part.unlink()
        for name in ("findings", "images/0/picture", "images/0", "sheets/0", "maps/umap/numbers"):
            answer = server.get(f"/api/models/{model}/{name}")
            assert answer.status_code < 500, (name, answer.text)
            assert str(tmp_path).encode() not in answer.content
        (broken / "images.parquet").unlink()
        answer = server.get(f"/api/models/{model}")
        assert answer.status_code == 409
        assert str(tmp_path) not in answer.text
