"""Runs a journal, or undoes it, in a process that ends itself before the n-th change of the disk.

``python tests/filing_killed.py JOURNAL do|undo N same|other``: "other" lets no file have two names, as two disks do.
Prints how many changes there were, if it came to its end.
"""

import errno
import os
import sys
from pathlib import Path

from dinoscope.filing.acting import carry_out, undo
from dinoscope.filing.journal import read_journal

journal, what, last, disk = sys.argv[1:]
changes = 0


def counted(function):
    def call(*args, **kwargs):
        global changes
        changes += 1
        if changes == int(last):
            os._exit(137)
        if disk == "other" and function is link and ".part-" not in str(args[0]):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return function(*args, **kwargs)

    return call


link = os.link
for name in ("link", "symlink", "unlink", "rename", "replace", "fsync", "mkdir", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
outcome = (carry_out if what == "do" else undo)(read_journal(Path(journal)))
assert not outcome.stayed, outcome.stayed
sys.stdout.write(str(changes))
