"""The command line's `explore`: a collection in the browser."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import (
    CollectionPath,
    LabelsOption,
    ModelOption,
    WeightsOption,
    say_missing,
    spare_collections,
)
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from uvicorn import Server

    from dinoscope.explorer.copying import CopyPlace
    from dinoscope.server.security import Access
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["NoBrowserOption", "explore", "has_display", "serve"]

NoBrowserOption = Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")]
_PORT = 8347
_TRIED = 20  # ports after it that are tried, too
_TOKEN = r"[A-Za-z0-9_.~-]{16,200}"  # what an address and a cookie take as it is


def explore(
    collection: CollectionPath,
    host: Annotated[
        str, typer.Option(help="Address to serve on; by default this machine alone can reach the page.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"Port; by default {_PORT}, or the next that is free.")
    ] = None,
    no_browser: NoBrowserOption = False,
    images: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the images are, to show them larger than their thumbnails."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="DINOSCOPE_TOKEN",
            help="What every request must show; by default a new one each time, and in the address.",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let every user of this machine see the page and use it.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show the collection, and write nothing into it or beside it.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further name the page may be reached by, as through a proxy; repeatable."),
    ] = None,
    allow_copy: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            callback=spare_collections,
            help="Let the page copy files of --images into folders below this one; on this machine alone.",
        ),
    ] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    labels_from: LabelsOption = "source",
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="COLLECTION",
            help="Another collection of the same images: its map is shown beside this one, linked to it.",
        ),
    ] = None,
) -> None:
    """Open the collection in the browser: the map with its images, look-alikes, search, findings."""
    serve(
        collection,
        host,
        port,
        no_browser,
        images,
        token,
        no_token,
        read_only,
        allow_host,
        model,
        weights,
        labels=labels_from,
        beside=beside,
        allow_copy=allow_copy,
    )


def serve(
    collection: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    no_browser: bool = False,
    images: str | None = None,
    token: str | None = None,
    no_token: bool = False,
    read_only: bool = False,
    allow_host: list[str] | None = None,
    model: str | None = None,
    weights: str | None = None,
    shown: str = "",
    labels: str = "source",
    beside: Path | None = None,
    allow_copy: Path | None = None,
) -> None:
    """Serve the explorer until Ctrl-C; the options are those of ``explore``, ``shown`` is what the page opens with."""
    import secrets

    from dinoscope.cli.terminal import say
    from dinoscope.server.security import Access, is_loopback

    if token is not None and not re.fullmatch(_TOKEN, token):
        raise InputError("--token needs 16 to 200 characters of A-Z, a-z, 0-9, '-', '_', '.' and '~'")
    open_to_others = not is_loopback(host)
    if no_token and token is not None:
        raise InputError("--no-token contradicts --token (or DINOSCOPE_TOKEN): leave one of them out")
    if no_token and open_to_others:
        raise InputError(f"--no-token is for this machine alone, got --host {host}: leave one of them out")
    if not no_token and token is None:
        token = secrets.token_urlsafe(24)
    copies = None if allow_copy is None else _copy_place(allow_copy, images, open_to_others, allow_host, no_token)
    listening = _listen(host, port)
    number = listening.getsockname()[1]
    access = Access.of(host, token, allow_host or (), number)
    try:
        server = _server(collection, model, weights, images, access, read_only, labels, beside, copies)
    except BaseException:
        listening.close()
        raise
    workspace = server.config.app.state.explorer.workspace  # type: ignore[union-attr]
    opened = workspace.data(workspace.shown).collection
    say_missing(collection, opened)
    _tell_lost(server, opened, images)
    if beside is not None:
        shown = _tell_shared(server, opened)
    address = _address(host, number, token) + shown
    say(f"{collection.resolve().name}: {address} (Ctrl-C ends it)")
    if open_to_others:
        say("anyone who knows this address can see the images; what is sent is not encrypted")
    elif no_token:
        say("every user of this machine can open it: leave --no-token out to ask for a token")
    if not no_browser and not open_to_others and has_display():
        first = _address(host, number, token and access.ticket) + shown
        threading.Thread(target=_open_browser, args=(server, first), daemon=True).start()
    with suppress(KeyboardInterrupt):  # the server has ended in order before it is raised
        server.run(sockets=[listening])


def _server(
    collection: Path,
    model: str | None,
    weights: str | None,
    images: str | None,
    access: Access,
    read_only: bool,
    labels: str,
    beside: Path | None,
    copies: CopyPlace | None,
) -> Server:
    from dinoscope.explorer.sheets import Originals
    from dinoscope.server.app import create_app
    from dinoscope.server.connections import ExplorerServer
    from dinoscope.sources.opening import open_source

    originals = None if images is None else Originals(open_source(images))
    app = create_app(
        collection,
        model=model,
        originals=originals,
        weights=weights,
        access=access,
        read_only=read_only,
        labels=labels,
        beside=beside,
        copies=copies,
    )
    return ExplorerServer(app, is_alone=True)


def _tell_lost(server: Server, opened: OpenedCollection, images: str | None) -> None:
    """Say how many images are not where larger pictures come from."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say

    originals = server.config.app.state.explorer.originals  # type: ignore[union-attr]
    if originals is not None and (lost := originals.count_lost(opened)):
        say(f"{lost:,} of {counted(len(opened))} are not in {images}: the page shows their thumbnails")


def _tell_shared(server: Server, opened: OpenedCollection) -> str:
    """Say how many images two collections share; return what the page opens with."""
    from urllib.parse import quote

    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say
    from dinoscope.stages.overlap import shared_images

    partners = server.config.app.state.explorer.partners  # type: ignore[union-attr]
    first = partners.of(opened.key)[0]
    _, other = partners.pair(opened.key, None, first.id)
    shared = len(shared_images(opened, other.collection))
    say(
        f"{counted(shared)} in both, by content; {len(opened) - shared:,} only in {opened.path.name}, "
        f"{len(other.collection) - shared:,} only in {other.collection.path.name}"
    )
    return f"#beside={quote(first.id + ':umap', safe=':')}&panel=moved"


def _copy_place(
    into: Path, images: str | None, open_to_others: bool, allow_host: list[str] | None, no_token: bool
) -> CopyPlace:
    """Return where the page may copy files.

    Raises:
        InputError: If somebody else could reach the page, or one of the folders is none.
    """
    from dinoscope.explorer.copying import CopyPlace
    from dinoscope.filing.names import is_within
    from dinoscope.storage.manifest import owner_of

    if open_to_others or allow_host or no_token:
        raise InputError("--allow-copy is for you alone: leave out --host, --allow-host and --no-token")
    folder = None if images is None else Path(images)
    if folder is None or not folder.is_dir():
        raise InputError("--allow-copy copies files of a folder: name the one with the images by --images")
    if not into.is_dir():
        raise InputError(f"--allow-copy {into} is not a folder: make it first")
    if (owner := owner_of(into / "collection.json")) is not None:
        raise InputError(
            f"--allow-copy {into} belongs to the collection {owner}, which takes no copies: choose another"
        )
    if is_within(into, folder):
        raise InputError(f"--allow-copy {into} is in the folder of the images, where copies would count as images")
    return CopyPlace(folder.absolute(), into.absolute())


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens on the port, or without one on the usual or the next free one.

    Raises:
        InputError: If the address is none of this machine, or the port is taken.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host.strip("[]"), port or 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(
            f"--host {host!r} is not an address: use 127.0.0.1, or 0.0.0.0 for all of this machine"
        ) from None
    tried = [port] if port is not None else [*range(_PORT, _PORT + _TRIED), 0]
    for number in tried:
        # asyncio sends at once on sockets that name their protocol; on others a short answer waits 40 ms to be joined
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":  # there it would share a port with another program
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((place[0], number, *place[2:]))
            listening.listen(128)
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
    hint = "leave --port out for one that is free" if port is not None else "name an address of this machine"
    raise InputError(f"cannot serve on {host} port {tried[0]} ({reason}): {hint}")


def _address(host: str, port: int, token: str | None) -> str:
    """Return the address to open."""
    name = host.strip("[]")
    if name in ("0.0.0.0", "::"):  # noqa: S104  # compared, not listened on
        name = socket.gethostname()
    if ":" in name:
        name = f"[{name}]"
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def has_display() -> bool:
    """Tell whether a browser has a screen to open on; otherwise it would open in this terminal."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(server: Server, address: str) -> None:
    import time
    import webbrowser

    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    webbrowser.open(address)
