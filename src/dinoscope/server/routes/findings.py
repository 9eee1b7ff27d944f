"""The explorer's routes for what to look at: findings, and what a person is asked about."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from dinoscope.errors import InputError
from dinoscope.explorer import findings as explorer_findings
from dinoscope.explorer.model_view import Unknown
from dinoscope.explorer.types import Checks, Dismissal, Findings, Question, QuestionAnswer
from dinoscope.server.jobs import Jobs
from dinoscope.server.responses import ModelKey, State, json_answer
from dinoscope.server.state import Workspace, check_writable
from dinoscope.stages.cleaning.answers import SUBJECTS, Subject, answer_questions, forget_answers
from dinoscope.stages.cleaning.findings import answer_findings

__all__ = ["add_findings"]


def add_findings(app: FastAPI, workspace: Workspace, heavy: Jobs) -> None:
    """Add the routes. Long work runs among the ``heavy`` jobs."""

    @app.get("/api/models/{model}/findings", response_model=Findings)
    async def findings(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return the findings, computed if they are not stored."""
        data = await run_in_threadpool(workspace.data, model, v)
        found = await heavy.run(object(), lambda: explorer_findings.findings(data.collection), request)
        return await run_in_threadpool(json_answer, request, found)

    @app.get("/api/models/{model}/findings/checks", response_model=Checks)
    async def checked(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return the checks of random findings, what they say about the rest, and the next finding to check."""
        data = await run_in_threadpool(workspace.data, model, v)
        found = await heavy.run(object(), lambda: explorer_findings.checks(data.collection), request)
        return json_answer(request, found)

    writes = [Depends(partial(check_writable, workspace))]

    @app.put("/api/models/{model}/findings/{key}", status_code=204, dependencies=writes)
    def dismiss(
        model: ModelKey, key: Annotated[str, InPath(max_length=200)], body: Dismissal, v: State = None
    ) -> Response:
        """Store in the collection whether a finding is a problem, or forget it."""
        collection = workspace.data(model, v).collection
        try:
            answer_findings(collection, {key: True if body.confirmed else False if body.dismissed else None})
        except InputError as error:
            raise Unknown(str(error)) from None
        return Response(status_code=204)

    _add_questions(app, workspace, heavy)


_About = Annotated[Subject, Query(description=f"What is asked: {', '.join(SUBJECTS)}.")]


def _add_questions(app: FastAPI, workspace: Workspace, heavy: Jobs) -> None:
    writes = [Depends(partial(check_writable, workspace))]

    @app.get("/api/models/{model}/questions", response_model=Question)
    async def question(request: Request, model: ModelKey, about: _About, v: State = None) -> Response:
        """Return the pair or picture that should be answered next, and what the answers so far say."""
        data = await run_in_threadpool(workspace.data, model, v)
        found = await heavy.run(object(), lambda: explorer_findings.question(data.collection, about), request)
        return json_answer(request, found)

    @app.put("/api/models/{model}/questions", response_model=Question, dependencies=writes)
    async def answer(
        request: Request, model: ModelKey, about: _About, body: QuestionAnswer, v: State = None
    ) -> Response:
        """Remember in the collection what a person answers; return the next question."""
        data = await run_in_threadpool(workspace.data, model, v)

        def remember() -> Question:
            try:
                answer_questions(data.collection, {tuple(body.rows): body.yes}, about)
            except InputError as error:
                raise Unknown(str(error)) from None
            return explorer_findings.question(data.collection, about)

        return json_answer(request, await heavy.run(object(), remember))

    @app.delete("/api/models/{model}/questions", response_model=Question, dependencies=writes)
    async def forget(request: Request, model: ModelKey, about: _About, v: State = None) -> Response:
        """Forget all answers of a subject; return the first question."""
        data = await run_in_threadpool(workspace.data, model, v)

        def empty() -> Question:
            forget_answers(data.collection, about)
            return explorer_findings.question(data.collection, about)

        return json_answer(request, await heavy.run(object(), empty))
