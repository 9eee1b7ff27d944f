"""The explorer's page: the files that the front end's build puts into the package, and nothing else."""

from __future__ import annotations

import gzip
import mimetypes
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from dinoscope.base.package import PACKAGE
from dinoscope.server.responses import FOR_EVER

__all__ = ["add_page"]

_FOLDER = PACKAGE / "web"
_NOT_BUILT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>dinoscope</title><body><h1>The page is not built</h1>'
    "<p>The server runs, but this checkout has no page yet. Run <code>make web</code> in it, then start "
    "<code>dinoscope explore</code> again. A package from PyPI brings the page along.</p></body></html>\n"
)
_PACKED = (".html", ".js", ".css", ".svg", ".json", ".txt")
mimetypes.add_type("text/javascript", ".js")  # Windows may know it as text/plain, which browsers refuse


def add_page(app: FastAPI, folder: Path = _FOLDER) -> None:
    """Serve the page at / and its files below. They are read now, so no request opens a file."""
    files = _read(folder)

    @app.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        if "index.html" not in files:
            return HTMLResponse(_NOT_BUILT, 200, {"Cache-Control": "no-cache"})
        return _file(request, "index.html", *files["index.html"])

    @app.get("/{name:path}", include_in_schema=False)
    def asset(request: Request, name: str) -> Response:
        if name == "favicon.ico":  # browsers ask for it before they read which icon the page names
            return Response(status_code=204)
        if name not in files:
            raise HTTPException(404, "there is nothing at this address")
        return _file(request, name, *files[name])


def _read(folder: Path) -> dict[str, tuple[bytes, bytes | None]]:
    """Return the content of each file, plain and packed. The report's part of the page is left out."""
    files: dict[str, tuple[bytes, bytes | None]] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(("report/", ".")):
            content = path.read_bytes()
            files[name] = (content, gzip.compress(content, 9, mtime=0) if name.endswith(_PACKED) else None)
    return files


def _file(request: Request, name: str, content: bytes, packed: bytes | None) -> Response:
    # the names of assets hold a digest of their content
    headers = {"Cache-Control": FOR_EVER if name.startswith("assets/") else "no-cache", "Vary": "Accept-Encoding"}
    if packed is not None and "gzip" in request.headers.get("accept-encoding", "").lower():
        content, headers["Content-Encoding"] = packed, "gzip"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers=headers)
