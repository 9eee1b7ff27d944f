"""Routes of one subject each; `create_app` adds them."""

from dinoscope.server.routes.beside import add_beside
from dinoscope.server.routes.colours import add_colours
from dinoscope.server.routes.columns import add_columns
from dinoscope.server.routes.files import add_copies, add_files
from dinoscope.server.routes.findings import add_findings
from dinoscope.server.routes.labelling import add_labelling
from dinoscope.server.routes.patches import add_patches
from dinoscope.server.routes.weights import add_weights

__all__ = [
    "add_beside",
    "add_colours",
    "add_columns",
    "add_copies",
    "add_files",
    "add_findings",
    "add_labelling",
    "add_patches",
    "add_weights",
]
