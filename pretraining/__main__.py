"""Command line of the pretraining: ``train`` a model, ``export`` it to the files that ship, write its ``card``."""

from __future__ import annotations

import argparse
import pickle
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from pretraining.arithmetic import Arithmetic, keep_memory
from pretraining.card import Section, read_scores, write_card
from pretraining.export import export, export_safetensors
from pretraining.images import load
from pretraining.losses import LOSSES
from pretraining.networks import BACKBONES
from pretraining.projection import fit_projections
from pretraining.recipes import RECIPES, REMARKS, WEAKNESSES, Recipe
from pretraining.restore import continued, restore
from pretraining.sets import SETS, get_set
from pretraining.train import Run, train

_TRAIN = """examples:
  python -m pretraining train mini-fashion --out runs/fashion.pt --minutes 20
  python -m pretraining train mini --data DIR --out runs/mini.pt --device cuda --pause-after 540
  the same command again goes on where that one paused (or was killed)
  python -m pretraining train mini --data DIR --out runs/mini.pt --start src/dinoscope/weights/mini.onnx
"""
_EXPORT = """examples:
  python -m pretraining export runs/fashion.pt --onnx src/dinoscope/weights/mini-fashion.onnx
  python -m pretraining export runs/mini.pt --onnx mini.onnx --projection-dim 128 --whiten 0.5 --data DIR
  an exported file takes the place of a lost checkpoint: export mini.onnx --onnx again.onnx --projection-dim 128
"""
_CARD = """examples:
  python -m benchmarks.weights --model mini-fashion.onnx --json scores.json
  python -m pretraining card mini-fashion=runs/fashion.pt mini=runs/mini.pt --scores scores.json --out CARD.md
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Any, text: str, examples: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=text, description=text, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        sub.set_defaults(run=run)
        return sub

    _train_options(command("train", _train, "train a model, or go on with one", _TRAIN))

    ship = command("export", _export, "write a checkpoint's backbone as ONNX, and as safetensors", _EXPORT)
    ship.add_argument("checkpoint", type=Path, help="of train; or an exported ResNet, to fit its projection again")
    ship.add_argument("--onnx", type=Path, required=True, metavar="PATH", help="the ONNX file to write")
    ship.add_argument("--safetensors", type=Path, metavar="PATH", help="write the torch weights too")
    ship.add_argument("--name", help="name kept in the file; default: that of the ONNX file")
    ship.add_argument("--size", type=int, metavar="N", help="side of a ViT's input; default: as trained")
    ship.add_argument("--precision", choices=["float16", "float32"], default="float16", help="of the stored weights")
    ship.add_argument("--projection-dim", type=int, metavar="D", help="bake in a PCA to so many dimensions")
    ship.add_argument("--whiten", type=float, default=0.5, metavar="W", help="whitening of that PCA, 0..1; default 0.5")
    ship.add_argument("--steady", action="store_true", help="let it play down what changes between views of an image")
    ship.add_argument("--data", type=Path, default=Path("data"), help="folder of the images for that PCA")

    card = command("card", _card, "write the model card, one section a model", _CARD)
    card.add_argument("models", nargs="+", metavar="NAME=CHECKPOINT", help="or NAME=EXPORTED.onnx")
    card.add_argument("--out", type=Path, required=True, metavar="PATH", help="the Markdown file to write")
    card.add_argument("--scores", type=Path, metavar="PATH", help="what benchmarks.weights --json wrote")
    card.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of the shipped NAME.onnx, for size and SHA-256"
    )
    return parser


def _train_options(fit: argparse.ArgumentParser) -> None:
    fit.add_argument("recipe", choices=sorted(RECIPES))
    fit.add_argument("--out", type=Path, required=True, help="checkpoint; an existing one is resumed")
    fit.add_argument("--data", type=Path, default=Path("data"), help="folder with the files of the images")
    fit.add_argument("--device", default="cpu", help="cpu or cuda")
    fit.add_argument(
        "--pause-after", type=float, default=float("inf"), metavar="SECONDS", help="stop then, to be resumed"
    )
    fit.add_argument(
        "--monitor-every", type=float, default=300.0, metavar="SECONDS", help="k-NN reading and checkpoint"
    )
    fit.add_argument("--start", type=Path, metavar="ONNX", help="an exported file whose weights a new run begins with")
    fit.add_argument(
        "--cool-down", action="store_true", help="end a run early: one more ninth of what it has done, down to rest"
    )
    fit.add_argument(
        "--arithmetic",
        type=_arithmetic,
        metavar="WORDS",
        help=f"how steps are computed, as the log names it, such as {Arithmetic(True)}; default: found by a trial",
    )
    fit.add_argument("--limit", type=int, help="read only so many images of each set")
    settings = fit.add_argument_group("settings", "each changes the recipe of a new run; a resumed run keeps its own")
    settings.add_argument("--backbone", choices=sorted(BACKBONES))
    settings.add_argument("--loss", choices=sorted(LOSSES))
    for option in fields(Recipe):
        if option.type in ("int", "float"):
            kind = int if option.type == "int" else float
            settings.add_argument(f"--{option.name.replace('_', '-')}", type=kind, metavar="N")
    settings.add_argument(
        "--shares",
        metavar="SET=SHARE,...",
        help="shares of a batch, as cifar10=0.4,tiny-imagenet=0.6; sets: " + ", ".join(SETS),
    )
    settings.add_argument("--global-scale", type=float, nargs=2, metavar=("LOW", "HIGH"))
    settings.add_argument("--local-scale", type=float, nargs=2, metavar=("LOW", "HIGH"))
    settings.add_argument("--small-scale", type=float, nargs=2, metavar=("LOW", "HIGH"))


def _arithmetic(text: str) -> Arithmetic:
    try:
        return Arithmetic.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _train(args: argparse.Namespace) -> None:
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"no device {args.device!r} here: leave out --device for the CPU")
    keep_memory()
    if args.cool_down and not args.out.exists():
        raise ValueError(f"--cool-down ends a run that was begun, and there is no checkpoint {args.out}")
    changes = _changes(args)
    if args.out.exists():
        run = _open(args.out, args.device)
        other = sorted(key for key, value in changes.items() if getattr(run.recipe, key) != value)
        if other:
            raise ValueError(
                f"{args.out} was begun with another {', '.join(other)}: choose another --out, or leave that out"
            )
        sets = [load(name, args.data, limit=args.limit, largest=run.recipe.largest) for name in run.recipe.shares]
    else:
        recipe = replace(RECIPES[args.recipe], **changes)
        sets = [load(name, args.data, limit=args.limit, largest=recipe.largest) for name in recipe.shares]
        run = continued(args.start, recipe, sets, args.device) if args.start else Run(recipe, args.device)
    if args.cool_down:
        run.cool_down()
    print(run.recipe, f"resumed at step {run.step}" if run.step else "", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = train(
        run,
        sets,
        args.out,
        pause_after=args.pause_after,
        monitor_every=args.monitor_every,
        report=lambda line: print(line, flush=True),
        arithmetic=args.arithmetic,
    )
    print(f"{'finished' if done else 'paused'} at step {run.step}, {run.progress:.1%}: {args.out}")


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings given on the command line."""
    given = {f.name: getattr(args, f.name, None) for f in fields(Recipe)}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for name in ("global_scale", "local_scale", "small_scale"):
        if name in changes:
            changes[name] = tuple(changes[name])
    if "shares" in changes:
        try:
            changes["shares"] = {k: float(v) for k, v in (pair.split("=") for pair in changes["shares"].split(","))}
        except ValueError:
            raise ValueError(f"--shares must look like cifar10=0.4,tiny-imagenet=0.6, got {args.shares!r}") from None
        for name in changes["shares"]:
            get_set(name)
    for length, other in (("steps", "minutes"), ("minutes", "steps")):  # the recipe's own length gives way
        if length in changes:
            changes.setdefault(other, 0)
    return changes


def _open(checkpoint: Path, device: str = "cpu") -> Run:
    """Load a checkpoint, or what an exported file still says of it, with an error of one line."""
    if not checkpoint.is_file():
        raise FileNotFoundError(f"no checkpoint {checkpoint}: make one with 'python -m pretraining train'")
    if checkpoint.suffix == ".onnx":
        run: Run = restore(checkpoint)
        return run
    try:
        return Run.load(checkpoint, device)
    except (EOFError, pickle.UnpicklingError):
        raise ValueError(f"{checkpoint} is not a checkpoint of pretraining, or was cut short") from None
    except (RuntimeError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ValueError(f"{checkpoint} is not a checkpoint of this version of pretraining ({reason})") from None


def _export(args: argparse.Namespace) -> None:
    run = _open(args.checkpoint)
    name = args.name or args.onnx.stem
    projections = None
    if args.steady and args.projection_dim is None:
        raise ValueError("--steady changes how the projection is fitted: give its --projection-dim too")
    if args.projection_dim is not None:
        # A part of the images will do; the first ones of the files are never among the held-out ones.
        sets = [load(each, args.data, limit=12_000, largest=run.recipe.largest) for each in run.recipe.shares]
        projections = fit_projections(run, sets, args.projection_dim, args.whiten, steady=args.steady)
    export(run, args.onnx, name=name, precision=args.precision, projections=projections, size=args.size)
    print(f"{args.onnx}: {args.onnx.stat().st_size / 1e6:.2f} MB")
    if args.safetensors:
        export_safetensors(run, args.safetensors, name=name)
        print(f"{args.safetensors}: {args.safetensors.stat().st_size / 1e6:.2f} MB")


def _card(args: argparse.Namespace) -> None:
    sections = []
    for model in args.models:
        name, equals, checkpoint = model.partition("=")
        if not equals or name not in WEAKNESSES:
            raise ValueError(f"expected NAME=CHECKPOINT with NAME one of {', '.join(WEAKNESSES)}, got {model!r}")
        file = args.weights / f"{name}.onnx" if args.weights else None
        if file and not file.is_file():
            raise FileNotFoundError(f"no file {file}: make it with 'python -m pretraining export'")
        scores = read_scores(args.scores, name) if args.scores else ()
        sections.append(Section(name, _open(Path(checkpoint)), REMARKS[name], WEAKNESSES[name], scores, file))
    write_card(sections, args.out)
    print(args.out)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run it; what goes wrong is one line, and exit code 1."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
