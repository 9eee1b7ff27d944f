"""The explorer in a cell of a notebook, and the images that are selected there back in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dinoscope.errors import InputError
from dinoscope.report.write import explorer_page

try:
    import anywidget
    import traitlets
except ImportError:
    raise InputError("explore() needs a package that is not installed: pip install 'dinoscope[notebook]'") from None

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["ExplorerWidget"]

# The frame is a sandbox without the notebook's origin: the page cannot reach the notebook, only tell it a selection.
_SCRIPT = """
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts allow-downloads";
  frame.title = "dinoscope explorer";
  frame.srcdoc = model.get("_page");
  frame.style = `width: 100%; border: 1px solid rgba(128, 128, 128, .4); height: ${model.get("height")}px`;
  const listen = (event) => {
    if (event.source !== frame.contentWindow || event.data?.dinoscope !== "selection") return;
    model.set("selection", Array.from(event.data.rows));
    model.save_changes();
  };
  window.addEventListener("message", listen);
  el.append(frame);
  return () => window.removeEventListener("message", listen);
}
export default { render };
"""


class ExplorerWidget(anywidget.AnyWidget):
    """The explorer of a collection.

    Attributes:
        selection: Row numbers of the images that are selected, or of the one that is open.
        height: Of the frame, in pixels.
    """

    _esm = _SCRIPT
    _page = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(640).tag(sync=True)
    selection = traitlets.List(traitlets.Int()).tag(sync=True)

    @classmethod
    def of(cls, collection: OpenedCollection, *, height: int, max_mb: float) -> ExplorerWidget:
        """Return the widget of a collection; see ``Collection.explore``."""
        return cls(_page=explorer_page(collection, max_mb=max_mb), height=height)
