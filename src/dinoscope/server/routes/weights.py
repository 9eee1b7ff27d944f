"""Routes for weights that are not on this machine: fetched when a person asks for them."""

from __future__ import annotations

from functools import partial

from fastapi import Depends, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from dinoscope.explorer.types import ProgressInfo
from dinoscope.server.jobs import Jobs, while_wanted
from dinoscope.server.responses import ModelKey, State, progress_answer
from dinoscope.server.state import Workspace, check_writable

__all__ = ["add_weights"]


def add_weights(app: FastAPI, workspace: Workspace, fetching: Jobs) -> None:
    """Add the routes; downloads are the ``fetching`` jobs."""

    @app.post(
        "/api/models/{model}/weights", status_code=204, dependencies=[Depends(partial(check_writable, workspace))]
    )
    async def fetch(request: Request, model: ModelKey, v: State = None) -> Response:
        """Fetch the weights of a model of the collection, for as long as somebody waits for them."""
        data = await run_in_threadpool(workspace.data, model, v)
        await fetching.run(data.key, lambda: workspace.fetch(data, while_wanted), request)
        return Response(status_code=204)

    @app.get("/api/models/{model}/weights", response_model=ProgressInfo | None)
    async def progress(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return how many bytes of the weights have arrived, or null if none are being fetched."""
        data = await run_in_threadpool(workspace.data, model, v)
        return progress_answer(request, fetching.progress(data.key))
