"""Write the pages that are made from the code: ``python -m docs.generate``. A test fails while they are out of date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "cli_page", "main", "models_page"]

DOCS = Path(__file__).parent
NOTE = "<!-- made by `make docs`; do not edit -->\n\n"


def cli_page() -> str:
    """Return the reference of the command line, from the commands themselves."""
    import typer

    from dinoscope.cli import app

    group: Any = typer.main.get_command(app)
    page = [NOTE, "# Command line\n\n", f"{group.help}\n\n"]
    page.append("Results go to stdout, remarks to stderr; an expected error is one line and exit code 1.\n")
    for name, command in group.commands.items():
        example = " ".join((command.epilog or "").split()).partition(": ")[2].replace(" dinoscope ", "\ndinoscope ")
        page.append(f"\n## dinoscope {name}\n\n{command.help}\n\n```\n{example}\n```\n\n")
        page.append("| argument | meaning | default |\n| --- | --- | --- |\n")
        for parameter in command.params:
            page.append(_parameter_row(parameter))
    return "".join(page)


def _parameter_row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    names = parameter.metavar or parameter.name.upper() if is_argument else "`, `".join(parameter.opts)
    shown = "" if parameter.default in (None, False) or parameter.required else f"`{parameter.default}`"
    text = re.sub(r"\s+", " ", parameter.help or "")
    return f"| `{names}` | {text} | {shown} |\n"


def models_page() -> str:
    """Return the table of models."""
    from dinoscope.models import MODELS

    page = [NOTE, "# Models\n\n", "| model | input | vector | licence | |\n| --- | --- | --- | --- | --- |\n"]
    for row in MODELS.values():
        page.append(f"| `{row.name}` | {row.resolution} px | {row.dim} | {row.licence} | {row.description} |\n")
    page.append("\nWhat the bundled ones saw, and how they score: [CARD.md](../src/dinoscope/weights/CARD.md).\n")
    return "".join(page)


PAGES = {"cli.md": cli_page, "models.md": models_page}


def main() -> None:
    """Write every page."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
