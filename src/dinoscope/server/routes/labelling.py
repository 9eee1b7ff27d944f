"""Routes for the labels that people give: reading, changes, undo, and questions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from dinoscope.explorer.labelling import (
    GivenLabels,
    LabelAnswer,
    LabelChange,
    Labelling,
    LabelRest,
    given_labels,
    labelling,
)
from dinoscope.explorer.model_view import position_of
from dinoscope.server.jobs import Jobs
from dinoscope.server.responses import ModelKey, State, file_answer, json_answer
from dinoscope.server.state import Workspace, check_writable
from dinoscope.stages.labelling.by_hand import annotate, turn
from dinoscope.stages.labelling.exchange import annotations_csv
from dinoscope.stages.labelling.session import labelling_session

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["add_labelling"]

_NAMES_PEOPLE = (
    "this server only shows its collection, and the table of labels says who gave each label and when: start dinoscope "
    "explore without --read-only, or write the table with dinoscope label --export"
)
Seen = Annotated[int, Query(ge=0, description="The revision that the page has seen.")]


def add_labelling(app: FastAPI, workspace: Workspace, heavy: Jobs) -> None:
    """Add the routes. Long work runs among the ``heavy`` jobs."""
    writes = [Depends(partial(check_writable, workspace))]

    @app.get("/api/models/{model}/labels", response_model=GivenLabels)
    def labels(request: Request, model: ModelKey, seen: Seen = 0, v: State = None) -> Response:
        """Return the labels and tags of the images that changed after a revision."""
        return json_answer(request, given_labels(workspace.data(model, v).collection, seen))

    @app.get("/api/models/{model}/labels/file", response_class=Response)
    def file(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return the labels and tags that people gave as a CSV file, as ``dinoscope label --export`` writes it."""
        if workspace.read_only:
            raise HTTPException(403, _NAMES_PEOPLE)
        text = annotations_csv(workspace.data(model, v).collection)
        return file_answer(request, text, "labels.csv", "text/csv")

    @app.put("/api/models/{model}/labels", response_model=GivenLabels, dependencies=writes)
    def change(request: Request, model: ModelKey, body: LabelChange, v: State = None) -> Response:
        """Give images a label, tags, or both; refused if somebody else changed one of them meanwhile."""
        collection = workspace.data(model, v).collection
        _check_rows(collection, body.rows)
        annotate(
            collection, body.rows, label=body.label, add_tags=body.add_tags, drop_tags=body.drop_tags, since=body.seen
        )
        return json_answer(request, given_labels(collection, body.seen))

    @app.post("/api/models/{model}/labels/{back}", response_model=GivenLabels, dependencies=writes)
    def step(
        request: Request,
        model: ModelKey,
        back: Annotated[Literal["undo", "redo"], InPath()],
        seen: Seen,
        v: State = None,
    ) -> Response:
        """Undo or redo the last act; refused if somebody else did something meanwhile."""
        collection = workspace.data(model, v).collection
        turn(collection, back, since=seen)
        return json_answer(request, given_labels(collection, seen))

    _add_questions(app, workspace, heavy)


def _add_questions(app: FastAPI, workspace: Workspace, heavy: Jobs) -> None:
    writes = [Depends(partial(check_writable, workspace))]

    @app.get("/api/models/{model}/labelling", response_model=Labelling)
    async def question(
        request: Request, model: ModelKey, seen: Seen = 0, batches: bool = False, v: State = None
    ) -> Response:
        """Return the next question and the progress of labelling."""
        data = await run_in_threadpool(workspace.data, model, v)
        found = await heavy.run(object(), lambda: labelling(data.collection, batches=batches, since=seen), request)
        return json_answer(request, found)

    @app.put("/api/models/{model}/labelling", response_model=Labelling, dependencies=writes)
    async def answer(request: Request, model: ModelKey, body: LabelAnswer, v: State = None) -> Response:
        """Keep the answer to a question; return the next one."""
        data = await run_in_threadpool(workspace.data, model, v)

        def remember() -> Labelling:
            session, rows = labelling_session(data.collection), tuple(body.rows)
            _check_rows(data.collection, rows)
            if body.label is None:
                session.pass_over(rows)
            else:
                session.answer(body.kind, rows, body.label, body.seen)
            return labelling(data.collection, batches=body.batches, since=body.seen)

        return json_answer(request, await heavy.run(object(), remember))

    @app.put("/api/models/{model}/labelling/rest", response_model=Labelling, dependencies=writes)
    async def rest(request: Request, model: ModelKey, body: LabelRest, v: State = None) -> Response:
        """Take all proposals as labels, or ask again about what was put off; return the next question."""
        data = await run_in_threadpool(workspace.data, model, v)

        def remember() -> Labelling:
            session = labelling_session(data.collection)
            if body.does == "take":
                session.take_rest(body.seen)
            else:
                session.ask_again()
            return labelling(data.collection, batches=body.batches, since=body.seen)

        return json_answer(request, await heavy.run(object(), remember))


def _check_rows(collection: OpenedCollection, rows: Sequence[int]) -> None:
    for row in rows:
        position_of(collection, row)  # one that is not there is unknown, as everywhere
