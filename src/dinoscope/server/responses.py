"""How the explorer's server answers: packed bytes, JSON, files, and every error as one sentence."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from dinoscope.errors import DinoscopeError, ImageError, InputError
from dinoscope.explorer.model_view import Unknown
from dinoscope.explorer.types import ErrorAnswer, ProgressInfo
from dinoscope.explorer.weights import NeedsWeights
from dinoscope.storage.manifest import is_gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dinoscope.explorer.types import WeightsInfo

__all__ = [
    "FOR_EVER",
    "Binary",
    "LookAlikes",
    "MapId",
    "ModelKey",
    "RowNumber",
    "SheetIndex",
    "State",
    "add_error_answers",
    "binary_route",
    "bytes_answer",
    "file_answer",
    "json_answer",
    "progress_answer",
]

ModelKey = Annotated[str, InPath(min_length=1, max_length=300, description="Key of a model of the collection.")]
MapId = Annotated[str, InPath(min_length=1, max_length=100, description="Id of a map.")]
RowNumber = Annotated[int, InPath(ge=0, le=2**32 - 1, description="Number of an image.")]
SheetIndex = Annotated[int, InPath(ge=0, le=2**32 - 1, description="Number of a sheet of thumbnails.")]
LookAlikes = Annotated[list[RowNumber], Query(min_length=1, max_length=24, description="Rows of look-alikes.")]
State = Annotated[
    str | None,
    Query(max_length=64, description="State of the model that is meant; an array may then be cached forever."),
]
FOR_EVER = "private, max-age=31536000, immutable"
_LEAST = 1000  # bytes from which packing is worth it
_log = logging.getLogger("dinoscope")


class Binary(TypedDict):
    """How a route of bytes describes its answer."""

    response_class: type[Response]
    responses: dict[int | str, dict[str, object]]


def binary_route(text: str, kind: str = "application/octet-stream") -> Binary:
    """Describe the answer of a route of bytes."""
    return {
        "response_class": Response,
        "responses": {
            200: {"description": text, "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}
        },
    }


def bytes_answer(
    request: Request, content: bytes, state: str | None, kind: str = "application/octet-stream"
) -> Response:
    """Answer with bytes, packed unless they are a picture. Browsers keep them if the address names the state."""
    return _packed(request, content, kind, {"Cache-Control": FOR_EVER if state is not None else "no-cache"})


def json_answer(request: Request, value: BaseModel | None) -> Response:
    """Answer with a value as JSON."""
    text = "null" if value is None else value.model_dump_json(by_alias=True)
    return _packed(request, text.encode(), "application/json", {"Cache-Control": "no-store"})


def progress_answer(request: Request, found: tuple[int, int] | None) -> Response:
    """Answer with how much of how much is done, or null."""
    return json_answer(request, found and ProgressInfo(done=found[0], total=found[1]))


def file_answer(request: Request, text: str, name: str, kind: str) -> Response:
    """Answer with a file to save."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    # a name that is not UTF-8 got backslashes when it was read; nothing else can fail here
    return _packed(request, text.encode("utf-8", "backslashreplace"), f"{kind}; charset=utf-8", headers)


def add_error_answers(app: FastAPI, collections: Sequence[Path], hidden: Sequence[Path] = ()) -> None:
    """Turn every error into ``{"error": ...}`` and a status. No answer contains a path of this machine.

    Args:
        app: The application.
        collections: The folders that an error about something missing may refer to.
        hidden: Further folders that a sentence may contain.
    """
    paths = [*collections, *hidden]

    @app.exception_handler(DinoscopeError)
    async def expected(_: Request, error: DinoscopeError) -> Response:
        weights = error.weights if isinstance(error, NeedsWeights) else None
        return _refuse(_status(error), _without_paths(str(error), paths), weights=weights)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"][1:])[:100] or "the request"
        return _refuse(422, f"{place}: {first['msg']}"[:300])

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return _refuse(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def cut(_: Request, __: ClientDisconnect) -> Response:
        return _refuse(400, "the request was cut short")

    @app.exception_handler(OSError)
    async def unreadable(_: Request, error: OSError) -> Response:
        place = error.filename if isinstance(error.filename, str) else None
        meant = [path for path in collections if place is None or Path(place).is_relative_to(path)]
        for path in meant:
            if not path.is_dir():
                return await expected(_, is_gone(path))
        _log.warning("%s", error)
        what = "the collection" if meant else "a file"
        return _refuse(409, f"{what} could not be read or written: the terminal of the server says why")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        return _refuse(500, "something went wrong in the server: its terminal says what")


def _status(error: DinoscopeError) -> int:
    if isinstance(error, Unknown):
        return 404
    return 400 if isinstance(error, InputError | ImageError) else 409


def _without_paths(text: str, paths: Iterable[Path]) -> str:
    names = {place: path.resolve().name for path in paths for place in (str(path), str(path.resolve()))}
    for place in sorted(names, key=len, reverse=True):
        text = text.replace(place, names[place])
    return text


def _refuse(
    status: int, reason: str, headers: Mapping[str, str] | None = None, weights: WeightsInfo | None = None
) -> Response:
    told = ErrorAnswer(error=reason, weights=weights).model_dump(by_alias=True, exclude_defaults=True)
    return JSONResponse(told, status, {"Cache-Control": "no-store", **(headers or {})})


def _packed(request: Request, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    headers = {**headers, "Vary": "Accept-Encoding"}
    wanted = "gzip" in request.headers.get("accept-encoding", "").lower()
    if wanted and len(content) >= _LEAST and not kind.startswith("image/"):
        content, headers["Content-Encoding"] = gzip.compress(content, 1, mtime=0), "gzip"
    return Response(content, media_type=kind, headers=headers)
