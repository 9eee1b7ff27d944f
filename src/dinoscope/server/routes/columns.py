"""The explorer's routes for the columns of a collection."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as InPath

from dinoscope.explorer.columns import column_at, column_bytes, describe_columns, find_in_column
from dinoscope.explorer.types import Columns, Positions
from dinoscope.server.responses import ModelKey, State, binary_route, bytes_answer, json_answer
from dinoscope.server.state import Workspace
from dinoscope.stages.columns import read_all

__all__ = ["add_columns"]

_Index = Annotated[int, InPath(ge=0, le=2**31 - 1, description="Place of a column in the list of all.")]
_Wanted = Annotated[str, Query(min_length=1, max_length=1000, description="What the text holds.")]


def add_columns(app: FastAPI, workspace: Workspace) -> None:
    """Add the routes."""

    @app.get("/api/models/{model}/columns", response_model=Columns)
    def columns(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return the columns."""
        collection = workspace.data(model, v).collection
        return json_answer(request, describe_columns(read_all(collection), collection.columns_of_source))

    @app.get(
        "/api/models/{model}/columns/{index}/values",
        **binary_route(
            "float32 (N), of a category the place of the value; of dates float64 (N), days since 1970; NaN: missing"
        ),
    )
    def values(request: Request, model: ModelKey, index: _Index, v: State = None) -> Response:
        """Return the values of a column of numbers, dates or categories."""
        found = column_bytes(column_at(workspace.data(model, v).collection, index))
        return bytes_answer(request, found.tobytes(), v)

    @app.get("/api/models/{model}/columns/{index}/find", response_model=Positions)
    def find(request: Request, model: ModelKey, index: _Index, text: _Wanted, v: State = None) -> Response:
        """Return the positions of the images whose text contains another one."""
        return json_answer(request, find_in_column(column_at(workspace.data(model, v).collection, index), text))
