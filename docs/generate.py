"""Write the pages that are made from the code: ``python -m docs.generate``. A test fails while they are out of date."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "cli_page", "main", "models_page"]

DOCS = Path(__file__).parent
NOTE = "<!-- made by `make docs`; do not edit -->\n\n"


def cli_page() -> str:
    """Return the reference of the command line, from the commands themselves."""
    import typer

    from dinoscope.cli.main import app

    group: Any = typer.main.get_command(app)
    page = [NOTE, "# Command line\n\n", f"{group.help}\n\n"]
    page.append(
        "Results go to stdout, remarks to stderr. An expected error is one line and exit code 1; a command line that "
        "makes no sense (an unknown option, a number out of range) is one line and exit code 2; Ctrl-C ends with 130.\n"
    )
    for name, command in group.commands.items():
        page.append(_section(f"dinoscope {name}", command))
        for sub_name, sub_command in getattr(command, "commands", {}).items():
            page.append(_section(f"dinoscope {name} {sub_name}", sub_command))
    return "".join(page)


def _section(name: str, command: Any) -> str:
    example = " ".join((command.epilog or "").split()).partition(": ")[2].replace(" dinoscope ", "\ndinoscope ")
    head = f"\n## {name}\n\n{command.help}\n\n```\n{example}\n```\n\n"
    table = "| argument | meaning | default |\n| --- | --- | --- |\n"
    return head + table + "".join(_parameter_row(parameter) for parameter in command.params)


def _parameter_row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    names = parameter.metavar or parameter.name.upper() if is_argument else "`, `".join(parameter.opts)
    shown = "" if parameter.default in (None, False) or parameter.required else f"`{parameter.default}`"
    text = re.sub(r"\s+", " ", parameter.help or "").replace("\\[", "[")  # escaped from Typer's markup
    return f"| `{names}` | {text} | {shown} |\n"


def models_page() -> str:
    """Return the table of models."""
    from dinoscope.models.catalogue import LICENCE_LINKS, MODELS

    page = [NOTE, "# Models\n\n", "| model | MB | input | vector | licence | weights | |\n", "| --- " * 7, "|\n"]
    for row in MODELS.values():
        licence = f"[{row.licence}]({LICENCE_LINKS[row.licence]})"
        weights = f"[{row.repo}](https://huggingface.co/{row.repo})" if row.repo else "bundled"
        sides = ", ".join(map(str, row.sides))
        gate = f", gated (open: `{row.open_model}`)" if row.gated else ""
        page.append(
            f"| `{row.name}` | {row.megabytes:,.1f} | {sides} px | {row.dim} | {licence} | {weights}{gate} "
            f"| {row.description} |\n"
        )
    page.append("\nWhat the bundled ones saw, and how they score: [CARD.md](../src/dinoscope/weights/CARD.md).\n")
    return "".join(page)


def description() -> str:
    """Return what the explorer's server answers, as OpenAPI; the page's types are made from it."""
    import numpy as np

    import dinoscope
    from dinoscope.server.app import create_app

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        pixels = np.random.default_rng(0).integers(0, 255, (12, 28, 28), dtype=np.uint8)
        dinoscope.Collection.from_images(pixels, path, model="mini-fashion")
        told = create_app(path, warm=False).openapi()
    told["info"]["version"] = "0"  # a release does not change it
    return json.dumps(told, indent=2) + "\n"


# by their places below docs/
PAGES = {"cli.md": cli_page, "models.md": models_page, "../web/openapi.json": description}


def main() -> None:
    """Write every page."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
