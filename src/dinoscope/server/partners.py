"""Models whose maps the page can show beside the current one: of this collection, and of a second one."""

from __future__ import annotations

import logging

from dinoscope.errors import DinoscopeError, InputError
from dinoscope.explorer.beside import partner_infos
from dinoscope.explorer.model_view import ModelData, Unknown
from dinoscope.explorer.types import ModelInfo, PartnerInfo
from dinoscope.server.state import Workspace
from dinoscope.stages.overlap import shared_images

__all__ = ["Partners"]

_log = logging.getLogger("dinoscope")
_ELSEWHERE = "beside:"  # before the key of a model of the second collection


class Partners:
    """A collection, and maybe a second one beside it."""

    def __init__(self, workspace: Workspace, beside: Workspace | None = None) -> None:
        """Check that the two collections can be compared.

        Raises:
            InputError: If both are one collection, or share fewer than two images.
        """
        self._workspace, self._beside = workspace, beside
        if beside is None:
            return
        if beside.path.resolve() == workspace.path.resolve():
            raise InputError(
                f"--beside names the collection itself, {workspace.path.name}: name another one, or choose another "
                "model of this one at 'Beside it' in the page"
            )
        shared_images(*(each.data(each.shown).collection for each in (workspace, beside)))

    def of(self, model: str) -> list[PartnerInfo]:
        """Return the partners of a model: first those of the second collection, beginning with its default."""
        found = [(each.key, each, "") for each in self._workspace.models() if each.key != model]
        return partner_infos(self._elsewhere() + found)

    def _elsewhere(self) -> list[tuple[str, ModelInfo, str]]:
        """Return the models of the second collection; none if it cannot be read, which ``pair`` reports."""
        beside = self._beside
        if beside is None:
            return []
        try:
            models = sorted(beside.models(), key=lambda each: each.key != beside.shown)
        except (DinoscopeError, OSError) as error:
            _log.warning("the collection beside it cannot be read: %s", error)
            return []
        return [(_ELSEWHERE + each.key, each, beside.path.name) for each in models]

    def pair(self, model: str, state: str | None, other: str) -> tuple[ModelData, ModelData]:
        """Return a model in the state that a page has seen, and a partner in its present state.

        Raises:
            Unknown: If there is no such model.
            Gone: If that state is no longer kept.
        """
        data = self._workspace.data(model, state)
        if not other.startswith(_ELSEWHERE):
            return data, self._workspace.data(other)
        if self._beside is None:
            raise Unknown("there is no second collection: start dinoscope explore with --beside")
        return data, self._beside.data(other.removeprefix(_ELSEWHERE))
