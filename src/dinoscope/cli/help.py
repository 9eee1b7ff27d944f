"""How the help is laid out: panels of commands with a line each, and each example on a line of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from typer.models import CommandInfo

__all__ = ["arrange"]

_PANELS = {
    "Start here": {
        "open": "See your images as a map in the browser, with one command.",
        "demo": "The whole job on 10,000 images that ship with dinoscope.",
    },
    "Look": {
        "embed": "Read images into a collection; again for what is new.",
        "explore": "Open a collection in the browser.",
        "search": "Find the images most like one image.",
        "look": "Show what the model sees in images, patch by patch.",
        "map": "Draw the map as a picture, or write it as a table.",
        "cluster": "Find groups of images, and say how good each is.",
        "report": "Write the explorer and the results as one HTML file.",
        "diff": "Compare two collections: what is new, gone, more, fewer.",
        "info": "Show what a collection holds, and whether it is whole.",
    },
    "How far to trust it": {
        "score": "How far to trust the map, the clusters, the embedding.",
        "explain": "What the map is made of: brightness, colour, shape...",
        "evaluate": "How well labels are found, and which are mixed up.",
        "tune": "Find better settings for the map.",
    },
    "Clean and label": {
        "clean": "Find duplicates, outliers, wrong labels and leaks.",
        "label": "Label images by hand; dinoscope proposes the rest.",
        "calibrate": "Answer a few: what is a duplicate, what is blurred?",
        "classify": "Name images by their labelled neighbours.",
    },
    "Do something with it": {
        "pick": "Choose the few images to label or to keep.",
        "apply": "Move the files that a plan of 'clean' names.",
        "sort": "Copy, link or move files into folders by label.",
        "export": "Write images, labels and splits for other tools.",
    },
    "Large, shared, checked": {
        "survey": "Map a collection that is larger than memory.",
        "publish": "Put the vectors into Milvus.",
        "receipt": "Write down what made a collection.",
        "verify": "Check a receipt on this machine.",
    },
    "Models": {"compare": "Try models on a sample of your images."},
}
_PLACES = {name: (panel, short) for panel, commands in _PANELS.items() for name, short in commands.items()}
_ORDER = list(_PLACES)


def arrange(app: typer.Typer) -> None:
    """Put commands into the panels of the help, in the order of these, and break their examples into lines."""

    def name(command: CommandInfo) -> str:
        return command.name or str(getattr(command.callback, "__name__", ""))

    app.registered_commands.sort(key=lambda each: _ORDER.index(name(each)) if name(each) in _PLACES else len(_ORDER))
    for command in app.registered_commands:
        command.rich_help_panel, command.short_help = _PLACES.get(name(command), ("Commands", command.short_help))
        command.epilog = _one_a_line(command.epilog or "")


def _one_a_line(epilog: str) -> str:
    """Return examples with an empty line before each, which the help keeps as the end of a line."""
    head, _, examples = epilog.partition(":")
    return f"{head}:\n\n" + examples.strip().replace("      dinoscope ", "\n\ndinoscope ")
