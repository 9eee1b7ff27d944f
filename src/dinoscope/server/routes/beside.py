"""Routes for another model's map beside the current one, and for what the two models see differently."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from dinoscope.explorer.beside import moved, places_beside
from dinoscope.explorer.types import Moved
from dinoscope.server.jobs import Jobs, while_wanted
from dinoscope.server.partners import Partners
from dinoscope.server.responses import MapId, ModelKey, State, binary_route, bytes_answer, json_answer

__all__ = ["add_beside"]

_Other = Annotated[str, Query(min_length=1, max_length=300, description="Id of a partner of the model.")]
_OtherMap = Annotated[str, Query(alias="map", min_length=1, max_length=100, description="Id of a map of the partner.")]


def add_beside(app: FastAPI, partners: Partners, heavy: Jobs) -> None:
    """Add the routes; their work runs among the ``heavy`` jobs."""

    @app.get("/api/models/{model}/maps/{map_id}/beside", **binary_route("float32 (N, 2), -1 to 1; NaN: not there"))
    async def map_beside(
        request: Request, model: ModelKey, map_id: MapId, other: _Other, other_map: _OtherMap, v: State = None
    ) -> Response:
        """Return a partner's map, turned and mirrored to fit a map of the model. Both are computed if not stored."""
        data, beside = await run_in_threadpool(partners.pair, model, v, other)
        data.settings_of(map_id), beside.settings_of(other_map)  # or there is no such map
        work = lambda: places_beside(data, map_id, beside, other_map, while_wanted)  # noqa: E731
        key = ("beside", data.state, map_id, beside.key, beside.state, other_map)
        places = await heavy.run(key, work, request)
        return bytes_answer(request, places.tobytes(), None)  # the partner may change while this model does not

    @app.get("/api/models/{model}/moved", response_model=Moved)
    async def moved_most(request: Request, model: ModelKey, other: _Other, v: State = None) -> Response:
        """Return how many neighbours a model shares with a partner, and the images whose neighbours changed most."""
        data, beside = await run_in_threadpool(partners.pair, model, v, other)
        key = ("moved", data.state, beside.key, beside.state)
        found = await heavy.run(key, lambda: moved(data, beside), request)
        return await run_in_threadpool(json_answer, request, found)
