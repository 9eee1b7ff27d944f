"""A person who labels until the process is killed: ``python -m tests.labelling_killed COLLECTION WRITER WRITERS``.

The person labels each image of their share that has no label yet, and prints its row once the label is kept.
"""

from __future__ import annotations

import sys

from dinoscope.stages.labelling.by_hand import all_annotations, annotate
from dinoscope.stages.opened import OpenedCollection


def main() -> None:
    """Label image after image."""
    path, writer, writers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    collection = OpenedCollection(path)
    said = all_annotations(collection).labels
    for at in range(writer, len(collection), writers):
        if said[at] is None:
            annotate(collection, [int(collection.rows[at])], label=f"{writer}: {at}")
            sys.stdout.write(f"{at}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
