"""Fixtures that several test files share, and the order of the files."""

import sys

import pytest

from dinoscope import cli
from tests.ray_cluster import ray_cluster
from tests.watched import WIDE, Visit, needed, opened_browser

# Files that take minutes go first: else the last one is waited for while the other workers have nothing left to do.
LONG = (
    "test_ray.py",
    "test_explorer_page.py",
    "test_notebook.py",
    "test_projection.py",
    "test_parts.py",
    "test_survival.py",
)


def pytest_collection_modifyitems(items):
    """Put the tests of long files before the others."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["dinoscope", *map(str, args)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def chromium():
    """Start a browser."""
    needed()
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def visit(chromium, address):
    """Open what lies at the file's ``address``; nothing may go wrong in it, and it may ask nobody else."""
    visits = []

    def begin(state="", size=WIDE, dark=False, still=True):
        visits.append(Visit(chromium, address, size, dark, still))
        return visits[-1].go(state)

    yield begin
    for each in visits:
        each.close()
        assert each.mistakes == []


@pytest.fixture(scope="module")
def cluster():
    """Start a Ray cluster."""
    pytest.importorskip("ray")
    with ray_cluster() as started:
        yield started
