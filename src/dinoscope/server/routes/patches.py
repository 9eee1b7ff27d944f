"""Routes for what the model sees in an image, patch by patch, and for a search by one patch."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from dinoscope.errors import InputError
from dinoscope.explorer import patches as explorer_patches
from dinoscope.explorer.model_view import ModelData
from dinoscope.explorer.types import PatchPairs, PatchView, ProgressInfo, SearchAnswer, TokensInfo
from dinoscope.server.jobs import Jobs, while_wanted
from dinoscope.server.responses import ModelKey, RowNumber, State, json_answer, progress_answer
from dinoscope.server.state import Workspace, check_writable
from dinoscope.stages.queries.patch_search import prepare_search
from dinoscope.stages.queries.tokens import keep_tokens

__all__ = ["add_patches"]

Share = Annotated[float, Query(ge=0, le=1, description="How far right, or down, as a share of the image.")]


def add_patches(app: FastAPI, workspace: Workspace, heavy: Jobs, looking: Jobs, asking: Jobs, *, at_most: int) -> None:
    """Add the routes.

    Args:
        app: Gets the routes.
        workspace: The collection.
        heavy: Runs what takes seconds.
        looking: Runs what takes minutes.
        asking: Runs searches.
        at_most: The largest collection whose tokens are kept.
    """

    def reading_of(data: ModelData) -> tuple[Hashable, Callable[[], None]]:
        return ("read", data.state), lambda: prepare_search(data.collection, while_wanted)

    @app.get("/api/models/{model}/images/{row}/patches", response_model=PatchView)
    async def patches(request: Request, model: ModelKey, row: RowNumber, v: State = None) -> Response:
        """Return what the model sees in an image and its four nearest neighbours, from their thumbnails."""
        data = await run_in_threadpool(workspace.data, model, v)
        work = lambda: explorer_patches.patch_view(data, row, workspace.encoder(data))  # noqa: E731
        found = await heavy.run(("patches", data.state, row), work, request)
        asking.start(*reading_of(data))  # a search by one of its patches may come next
        return await run_in_threadpool(json_answer, request, found)

    @app.get("/api/models/{model}/images/{row}/patches/search", response_model=SearchAnswer)
    async def search(
        request: Request,
        model: ModelKey,
        row: RowNumber,
        x: Share,
        y: Share,
        k: Annotated[int, Query(ge=1, le=200, description="Number of answers.")] = 24,
        v: State = None,
    ) -> Response:
        """Return where else in the collection there is a similar patch."""
        data = await run_in_threadpool(workspace.data, model, v)
        await asking.run(*reading_of(data), request)  # a job of its own: a search that waits would block the others
        work = lambda: explorer_patches.find_patch(data, row, (x, y), k)  # noqa: E731
        return json_answer(request, await asking.run(object(), work, request))

    @app.get("/api/models/{model}/images/{row}/patches/{other}", response_model=PatchPairs)
    async def pairs(request: Request, model: ModelKey, row: RowNumber, other: RowNumber, v: State = None) -> Response:
        """Return the patches of two images that match."""
        data = await run_in_threadpool(workspace.data, model, v)
        work = lambda: explorer_patches.patch_pairs(data, row, other, workspace.encoder(data))  # noqa: E731
        return json_answer(request, await heavy.run(("pairs", data.state, row, other), work, request))

    @app.get("/api/models/{model}/tokens", response_model=TokensInfo)
    async def tokens(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return whether a search by a patch is possible, or what preparing it takes, measured on a few images."""
        data = await run_in_threadpool(workspace.data, model, v)
        work = lambda: explorer_patches.tokens_info(  # noqa: E731
            data, lambda: workspace.encoder(data), at_most=at_most, read_only=workspace.read_only
        )
        return json_answer(request, await heavy.run(("tokens", data.state), work, request))

    @app.put("/api/models/{model}/tokens", status_code=204, dependencies=[Depends(partial(check_writable, workspace))])
    async def keep(request: Request, model: ModelKey, v: State = None) -> Response:
        """Keep the patch tokens of all images. A second request continues where the first one ended."""
        data = await run_in_threadpool(workspace.data, model, v)
        obstacle = explorer_patches.tokens_limit(data.collection, at_most)
        if obstacle is not None:
            raise InputError(obstacle)
        work = lambda: keep_tokens(  # noqa: E731
            data.collection, encoder=workspace.encoder(data), at_most=at_most, on_progress=while_wanted
        )
        await looking.run(("keep", data.state), work, request)
        return Response(status_code=204)

    @app.get("/api/models/{model}/tokens/progress", response_model=ProgressInfo | None)
    async def keeping(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return how many images a running request has done, or null."""
        data = await run_in_threadpool(workspace.data, model, v)
        return progress_answer(request, looking.progress(("keep", data.state)))

    @app.get("/api/models/{model}/tokens/reading", response_model=ProgressInfo | None)
    async def reading(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return how much of what is kept has been read for the first search, or null where nothing is being read."""
        data = await run_in_threadpool(workspace.data, model, v)
        return progress_answer(request, asking.progress(("read", data.state)))
