import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 60  # seconds that a test waits for what comes soon: machines that test are busy


def documented_options() -> dict[str, set[str]]:
    """Return the options of each command, as docs/cli.md lists them."""
    pages = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split("\n## dinoscope ")
    return {page.split("\n")[0]: set(re.findall(r"`(--?[\w-]+)`", page)) for page in pages[1:]}
