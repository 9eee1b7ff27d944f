"""Checks of every request and headers of every answer: hosts, token, origin, sizes. Plain ASGI.

The page is reached from this machine alone unless somebody asks for more. Three things could still reach it: another
page in the same browser (requests from elsewhere are refused, and no answer may be read or framed from elsewhere), a
name that an attacker points at 127.0.0.1 (the Host header must be one that was meant), and other users of this machine
or, once another address is served, anybody in the network (a token).
"""

from __future__ import annotations

import asyncio
import hmac
import html
import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CLIENT_COOKIE", "MAX_UPLOAD", "Access", "Guard", "host_name", "is_loopback"]

MAX_UPLOAD = 20_000_000  # bytes of a request's body
_SECONDS = 60.0  # seconds in which it must arrive
_COOKIE = "Path=/; HttpOnly; SameSite=Strict"
CLIENT_COOKIE = "dinoscope-client"  # distinguishes the pages of one machine
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; "
    "worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>dinoscope</title>{head}<body><h1>dinoscope</h1>'
    "<p>{text}</p></body></html>\n"
)


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: Names and addresses that the Host header may carry.
        any_address: Whether any IP address is allowed too, for a server that listens on all of them. Unlike a name, an
            address cannot be pointed elsewhere.
        token: What a request must show; None if nothing is needed.
        port: Where the server listens; part of the cookie's name.
        ticket: Opens the page once, instead of the token: other users can read a browser's command line.
        session: Content of the cookie. A browser sends a cookie to every port of a machine, so it is not the token and
            useless to another server.
    """

    hosts: frozenset[str] = _LOOPBACK
    any_address: bool = False
    token: str | None = None
    port: int = 0
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _mark: str = field(default_factory=lambda: secrets.token_hex(4), repr=False)

    @classmethod
    def of(cls, host: str, token: str | None = None, allowed: Iterable[str] = (), port: int = 0) -> Access:
        """Return the access rules for a server that listens on ``host`` and ``port``."""
        chosen = host_name(host)
        everywhere = _is_address(chosen) and ipaddress.ip_address(chosen).is_unspecified
        names = {chosen, *(host_name(each) for each in allowed)} - {"0.0.0.0", "::"}  # noqa: S104  # compared, not listened on
        if everywhere:
            names.add(socket.gethostname().lower())
        return cls(_LOOPBACK | names, everywhere, token, port)

    @property
    def is_private(self) -> bool:
        """Whether only this machine may ask."""
        return not self.any_address and all(map(is_loopback, self.hosts))

    def knows(self, host: str) -> bool:
        """Tell whether a Host header is allowed."""
        name = host_name(host)
        return name in self.hosts or (self.any_address and _is_address(name))

    def accepts(self, token: str | None) -> bool:
        """Tell whether this is the token, in constant time."""
        return self.token is None or _same(token, self.token)

    @property
    def cookies(self) -> str:
        """Beginning of the names of this port's cookies, including those of servers that have ended."""
        return f"dinoscope-{self.port}-"

    @property
    def cookie(self) -> str:
        """Name of the cookie that lets a browser in. Cookies of two servers on one machine must not mix."""
        return self.cookies + self._mark


class _Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Guard:
    """Lets through what ``Access`` allows, limits bodies and adds headers. Nothing else reaches the application."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._ticket: str | None = access.ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # there are no web sockets; lifespan passes
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        extra = list(_HEADERS.items())
        cookies = _cookies(headers)
        client = cookies.get(CLIENT_COOKIE, "")
        if not re.fullmatch(r"[0-9a-f]{32}", client):
            client = ""
            if scope["path"] == "/":
                extra.append(("Set-Cookie", f"{CLIENT_COOKIE}={secrets.token_hex(16)}; {_COOKIE}"))
        scope.setdefault("state", {})["client"] = f"{(scope.get('client') or ('?',))[0]} {client}"
        send = _with_headers(send, extra)
        try:
            is_welcome = self._check(scope, headers, cookies)
        except _Refusal as refusal:
            await _answer(scope, send, refusal.status, refusal.reason)
            return
        if is_welcome:
            extra.append(("Set-Cookie", f"{self._access.cookie}={self._access.session}; {_COOKIE}"))
            old = [name for name in cookies if name.startswith(self._access.cookies) and name != self._access.cookie]
            extra += [("Set-Cookie", f"{name}=; Max-Age=0; {_COOKIE}") for name in old if re.fullmatch(r"[\w-]+", name)]
            await _welcome(scope, send)
            return
        await self._app(scope, _limited(receive), send)

    def _check(self, scope: Scope, headers: dict[str, str], cookies: dict[str, str]) -> bool:
        """Refuse a request, or tell whether its address held the token: then a cookie replaces it."""
        host = headers.get("host", "")
        if not self._access.knows(host):
            raise _Refusal(403, "this address is not served here: start dinoscope explore with --allow-host to add it")
        _check_origin(scope, headers, host)
        if _length(headers) > MAX_UPLOAD:
            raise _Refusal(413, f"a request may bring at most {MAX_UPLOAD // 1_000_000} MB")
        if self._access.token is None:
            return False
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if scope["method"] == "GET" and scope["path"] == "/" and "token" in query:
            if self._access.accepts(query["token"]) or self._takes(query["token"]):
                return True
        elif self._access.accepts(_bearer(headers)) or _same(cookies.get(self._access.cookie), self._access.session):
            return False
        raise _Refusal(401, "a token is needed: open the address that dinoscope explore printed, token included")

    def _takes(self, ticket: str) -> bool:
        if self._ticket is None or not _same(ticket, self._ticket):
            return False
        self._ticket = None
        return True


def host_name(host: str) -> str:
    """Return the name in a Host header or an address: no port, no brackets, lower case."""
    host = host.strip().lower()
    bracketed = re.fullmatch(r"\[([0-9a-f:.]+)\](:\d+)?", host)
    if bracketed:
        return bracketed[1]
    return (host.partition(":")[0] if host.count(":") == 1 else host).rstrip(".")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server on this address."""
    name = host_name(host)
    return name in _LOOPBACK or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _check_origin(scope: Scope, headers: dict[str, str], host: str) -> None:
    """Refuse what another page caused: requests for data and requests that change something."""
    site = headers.get("sec-fetch-site", "none")
    foreign = site not in ("same-origin", "none") and scope["path"].startswith("/api/")
    origin = headers.get("origin")
    if scope["method"] not in _SAFE and origin is not None:
        foreign = foreign or origin.partition("://")[2].lower() != host.strip().lower()
    if foreign:
        raise _Refusal(403, "requests from other pages are refused")


def _same(told: str | None, secret: str) -> bool:
    return hmac.compare_digest((told or "").encode(), secret.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    # not with http.cookies: one foreign cookie that it cannot read makes it drop all of them
    from starlette.requests import cookie_parser

    return cookie_parser(headers.get("cookie", ""))


def _bearer(headers: dict[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else MAX_UPLOAD + 1


def _limited(receive: Receive) -> Receive:
    """Count and time a body while it arrives, because its length need not be announced."""
    from starlette.exceptions import HTTPException

    seen, is_whole, end = 0, False, 0.0

    async def counted() -> Message:
        nonlocal seen, is_whole, end
        end = end or asyncio.get_running_loop().time() + _SECONDS  # not before somebody asks for it
        try:
            async with asyncio.timeout_at(None if is_whole else end):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the request took too long to arrive: try again") from None
        is_whole = not message.get("more_body", False)
        seen += len(message.get("body", b""))
        if seen > MAX_UPLOAD:
            raise HTTPException(413, f"a request may bring at most {MAX_UPLOAD // 1_000_000} MB")
        return message

    return counted


def _with_headers(send: Send, extra: list[tuple[str, str]]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.lower().encode(), value.encode("latin-1")) for name, value in extra]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sending


async def _answer(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Refuse: with a page to a person, with JSON to a program."""
    from starlette.responses import HTMLResponse, JSONResponse, Response

    page = not scope["path"].startswith("/api/")
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    headers["Connection"] = "close"  # the rest of a body is not read
    response: Response
    if page:
        response = HTMLResponse(_PAGE.format(head="", text=html.escape(reason)), status, headers)
    else:
        response = JSONResponse({"error": reason}, status, headers)
    await response(scope, _nothing, send)


async def _welcome(scope: Scope, send: Send) -> None:
    """Go to the page without the token in its address.

    A page that refreshes does this, not a redirect: after a link from another site, a browser does not send a strict
    cookie to the target of a redirect.
    """
    from starlette.responses import HTMLResponse

    kept = [pair for pair in parse_qsl(scope["query_string"].decode("latin-1")) if pair[0] != "token"]
    target = html.escape("/" + (f"?{urlencode(kept)}" if kept else ""))
    head = f'<meta http-equiv="refresh" content="0; url={target}">'
    text = f'<a href="{target}">Open the explorer</a>'
    headers = {"Cache-Control": "no-store"}
    await HTMLResponse(_PAGE.format(head=head, text=text), headers=headers)(scope, _nothing, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
