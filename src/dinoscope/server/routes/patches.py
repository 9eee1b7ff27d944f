"""The explorer's route for what the model sees in an image, patch by patch."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from dinoscope.explorer.patches import patch_view
from dinoscope.explorer.types import PatchView
from dinoscope.server.jobs import Jobs
from dinoscope.server.responses import ModelKey, RowNumber, State, json_answer
from dinoscope.server.state import Workspace

__all__ = ["add_patches"]


def add_patches(app: FastAPI, workspace: Workspace, heavy: Jobs) -> None:
    """Add the route; its work runs among the ``heavy`` jobs."""

    @app.get("/api/models/{model}/images/{row}/patches", response_model=PatchView)
    async def patches(request: Request, model: ModelKey, row: RowNumber, v: State = None) -> Response:
        """Return what the model sees in an image and its four nearest neighbours, from their thumbnails."""
        data = await run_in_threadpool(workspace.data, model, v)
        work = lambda: patch_view(data, row, workspace.encoder(data))  # noqa: E731
        found = await heavy.run(("patches", data.state, row), work, request)
        return await run_in_threadpool(json_answer, request, found)
