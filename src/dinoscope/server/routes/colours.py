"""The explorer's routes for thumbnails in patch colours, which show what the model sees in all images."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from dinoscope.explorer.model_view import check_sheet
from dinoscope.explorer.patches import colours_info
from dinoscope.explorer.sheets import colour_sheet
from dinoscope.explorer.types import ProgressInfo, TokensInfo
from dinoscope.server.jobs import Jobs, while_wanted
from dinoscope.server.responses import (
    ModelKey,
    SheetIndex,
    State,
    binary_route,
    bytes_answer,
    json_answer,
    progress_answer,
)
from dinoscope.server.state import Workspace
from dinoscope.stages.queries.colour_grids import keep_colours

__all__ = ["add_colours"]


def add_colours(app: FastAPI, workspace: Workspace, heavy: Jobs, looking: Jobs, drawing: Jobs, *, at_most: int) -> None:
    """Add the routes. A server that writes nothing makes the colours, too, and holds them in memory.

    Args:
        app: Gets the routes.
        workspace: The collection.
        heavy: Runs what takes seconds.
        looking: Runs what takes minutes.
        drawing: Draws sheets.
        at_most: How many images may be looked at.
    """

    @app.get("/api/models/{model}/colours", response_model=TokensInfo)
    async def colours(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return whether there are thumbnails in patch colours, or what it takes to make them."""
        data = await run_in_threadpool(workspace.data, model, v)
        work = lambda: colours_info(data, lambda: workspace.encoder(data), at_most=at_most)  # noqa: E731
        return json_answer(request, await heavy.run(("colours", data.state), work, request))

    @app.put("/api/models/{model}/colours", status_code=204)
    async def keep_in_colours(request: Request, model: ModelKey, v: State = None) -> Response:
        """Make thumbnails in patch colours. A second request continues where the first one ended."""
        data = await run_in_threadpool(workspace.data, model, v)
        work = lambda: keep_colours(  # noqa: E731
            data.collection, lambda: workspace.encoder(data), at_most=at_most, on_progress=while_wanted
        )
        await looking.run(("keep colours", data.state), work, request)
        return Response(status_code=204)

    @app.get("/api/models/{model}/colours/progress", response_model=ProgressInfo | None)
    async def colouring(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return how many images a running request has done, or null."""
        data = await run_in_threadpool(workspace.data, model, v)
        return progress_answer(request, looking.progress(("keep colours", data.state)))

    @app.get("/api/models/{model}/colours/{index}", **binary_route("A sheet of thumbnails", "image/webp"))
    async def colour_thumbnails(request: Request, model: ModelKey, index: SheetIndex, v: State = None) -> Response:
        """Return a sheet of thumbnails in patch colours, which have been made."""
        data = await run_in_threadpool(workspace.data, model, v)
        check_sheet(data.collection, index)
        work = lambda: colour_sheet(data.collection, index, data.tile, lambda: workspace.encoder(data))  # noqa: E731
        drawn = await drawing.run(("colour sheet", data.state, index), work, request)
        return bytes_answer(request, drawn, v, "image/webp")
