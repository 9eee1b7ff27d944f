"""Fixtures that several test files share."""

import sys

import pytest

from dinoscope import cli


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
