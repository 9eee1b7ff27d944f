"""From the name of a model to a graph that can be run: find or fetch its weights, read them, build the graph."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dinoscope.base.digests import digest_json
from dinoscope.base.types import ModelDescription
from dinoscope.errors import InputError, ModelError
from dinoscope.models.catalogue import IMAGENET, MODELS, Model, get_model, get_published, read_ranges, read_weights
from dinoscope.models.digests import digest_weights
from dinoscope.models.patches import bundled_side
from dinoscope.models.preprocess import Preprocessing, preprocessing_of
from dinoscope.models.processor import Processor, read_beside, read_processor
from dinoscope.models.runtime import Graph

__all__ = ["LoadedModel", "described_model", "digest_ranges", "load_model"]

# config.json's model_type -> family
_FAMILIES = {"vit": "dino", "dinov2": "dinov2", "dinov2_with_registers": "dinov2", "dinov3_vit": "dinov3"}


@dataclass(frozen=True)
class LoadedModel:
    """A model whose weights were read.

    Attributes:
        model: Its row, completed with what the weights tell: family, patch, size.
        graph: The graph.
        resolution: Side of the images that the graph takes, in pixels.
        weights_sha256: SHA-256 of the weights; see ``digest_weights``.
        own_family: The family that name or weights tell; empty for an ONNX file, whose family is beside it.
        published: How the authors prepare images: by its row, else by what is beside the weights.
        assumed: What no file says of that and was assumed, as a text for people; empty if nothing was.
        ranges: Digest of the ranges of its tensors, where it computes in whole numbers; otherwise empty.
        told: What config.json alone says about the computation; see ``Geometry.told``.
    """

    model: Model
    graph: Graph
    resolution: int
    weights_sha256: str
    own_family: str
    published: Preprocessing
    assumed: str = ""
    told: str = ""
    ranges: str = ""


def load_model(
    name: str | Model,
    *,
    resolution: int | None = None,
    whole: bool = False,
    fetch: bool = True,
    sha256: str | None = None,
    say: Callable[[str], None] | None = None,
) -> LoadedModel:
    """Load a model by its name, its hub id, or the path of its weights.

    Args:
        name: See ``get_model``; or what that gave.
        resolution: Side of the images, in pixels; a multiple of the patch. By default the model's own.
        whole: Let its layers compute in whole numbers of 8 bits.
        fetch: Download weights that are not on this machine.
        sha256: SHA-256 that the weights must have; others are refused before anything is made of them.
        say: Called with what is about to be downloaded, if anything is.

    Raises:
        ModelError: If the model is unknown, or its weights are damaged, of another kind, or not those of ``sha256``.
        DownloadError: If the weights cannot be fetched, or are not here and ``fetch`` is False.
        InputError: If the model does not take that resolution, or has no layers in whole numbers.
    """
    if resolution is not None and resolution < 1:
        raise InputError(f"resolution must be at least 1, got {resolution}")
    row = get_model(name) if isinstance(name, str) else name
    if row.family == "bundled":
        if resolution not in (None, row.resolution) and not row.larger_resolution:
            raise InputError(f"{row.name} takes {row.resolution} pixels only, got a resolution of {resolution}")
        side = row.resolution if resolution in (None, row.resolution) else bundled_side(resolution)
        weights = read_weights(row)
        digest = _expected(row, hashlib.sha256(weights).hexdigest(), sha256)
        ranges = read_ranges(row, digest) if whole else None
        if ranges is not None:
            from dinoscope.models.graphs.int8 import quantized

            weights = quantized(weights, ranges)
        graph = Graph(row.name, weights, small=True, whole=whole, remedy="reinstall dinoscope")
        return LoadedModel(
            row,
            graph,
            side,
            digest,
            row.family,
            preprocessing_of(row.family),
            ranges="" if ranges is None else digest_ranges(ranges),
        )
    if whole:
        names = " and ".join(name for name, each in MODELS.items() if each.family == "bundled")
        raise InputError(
            f"int8 is for the bundled models ({names}), got {row.name}: name one of them, or leave --precision out"
        )
    told = ""
    if row.path is not None:
        file = _find_file(Path(row.path))
    else:
        from dinoscope.models.hub import fetch_weights, require_weights

        file = fetch_weights(row, say=say) if fetch else require_weights(row)
        row = replace(row, revision=file.parent.name)  # the commit, in the cache as among what was unpacked
    if file.suffix == ".onnx":
        from dinoscope.models.graphs.onnx_import import read_onnx

        own, row = row.family, replace(row, family=row.family or _family(file))
        processor = _processor(row, file)
        graph, side, scales = read_onnx(file, resolution, processor.normalization)
        if scales:
            row, processor = replace(row, normalization=None), replace(processor, normalization=IMAGENET, assumed="")
    else:
        from dinoscope.models.checkpoint import read_checkpoint
        from dinoscope.models.graphs.vit import build_graph

        checkpoint = read_checkpoint(file)
        shape, told = checkpoint.geometry, checkpoint.geometry.told
        side = resolution or row.resolution or round(224 / shape.patch) * shape.patch
        own, processor = row.family or shape.family, _processor(row, file, shape.family)
        with np.errstate(all="ignore"):  # of damaged weights; what they compute is looked at before it is used
            graph = Graph(row.name, build_graph(checkpoint, side, processor.normalization), checkpoint.file)
        row = replace(row, family=own, patch=shape.patch, normalization=processor.normalization)
    holder = graph.weights or file
    digest = _expected(row, digest_weights(file, graph.weights), sha256, holder)
    row = replace(row, megabytes=row.megabytes or holder.stat().st_size / 1e6)
    published = replace(processor.preprocessing, normalization=processor.normalization)
    graph = replace(graph, strange=file.suffix == ".onnx" and not _is_published(row))
    return LoadedModel(row, graph, side, digest, own, published, processor.assumed, told)


def _processor(row: Model, file: Path, family: str = "") -> Processor:
    """Return how images are prepared: a row of the table says it, of other weights what is beside them."""
    usual = preprocessing_of(row.family or family)
    if _is_published(row):
        return Processor(row.normalization or IMAGENET, usual)
    return read_processor(file, usual)


def _is_published(row: Model) -> bool:
    return row.name in MODELS and row.path is None


def digest_ranges(ranges: Mapping[str, tuple[float, float]]) -> str:
    """Return the digest that stands for ranges of tensors in the key of vectors in whole numbers."""
    return digest_json(ranges, length=8)


def described_model(description: ModelDescription, fetch: bool) -> Model:
    """Return the model of a description: in the revision that made the vectors, unless another holds the same weights.

    Raises:
        DownloadError: If neither is on this machine, and nothing may be fetched.
    """
    row, commit = get_published(str(description["model"])), description.get("revision")
    if row.repo is None or not isinstance(commit, str):
        return row
    from dinoscope.models.hub import COMMIT, find_weights, require_weights

    if not COMMIT.fullmatch(commit):
        return row
    pinned = replace(row, revision=commit)
    if fetch or find_weights(pinned) is not None:
        return pinned
    here = find_weights(row)
    if here is None or digest_weights(here) != description["weights_sha256"]:
        require_weights(pinned)
    return row


def _expected(row: Model, found: str, wanted: str | None, holder: Path | None = None) -> str:
    """Return the digest of weights, if it is the one that is wanted; ``holder`` is the file with their values."""
    if wanted in (None, found):
        return found
    if holder is not None and digest_weights(holder) == wanted:
        raise ModelError(
            f"{row.name!r} is a graph with its weights in a second file, and the vectors were made by a version of "
            "dinoscope that did not tell graphs with the same weights apart: embed the images again"
        )
    again = f"'dinoscope embed SOURCE -o COLLECTION --model {row.name if row.path is None else 'FILE'}'"
    remedy = f"embed the images again ({again})"
    if row.family != "bundled":
        remedy = f"name the right ones (--weights, with embed --model), or {remedy}"
    raise ModelError(
        f"these weights of {row.name!r} are not the ones that made the vectors (SHA-256 {found[:12]}..., expected "
        f"{str(wanted)[:12]}...): {remedy}"
    )


def _find_file(path: Path) -> Path:
    """Return the weights that a path stands for: a file, or the one in a folder."""
    if not path.is_dir():
        if path.is_file() and path.suffix in (".safetensors", ".onnx"):
            return path
        raise ModelError(
            f"{path.name} holds no weights that dinoscope reads: expected a .safetensors or .onnx file; a pickled "
            "checkpoint (.pth, .bin) can run code when it is opened, so save it as safetensors first"
        )
    for preferred in ("model.safetensors", "model.onnx", "onnx/model.onnx"):
        if (path / preferred).is_file():
            return path / preferred
    found = sorted([*path.glob("*.safetensors"), *path.glob("*.onnx")])
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise ModelError(f"{path.name} holds several weights ({names}): name the file that is meant")
    held = ", ".join(sorted(each.name for each in path.iterdir())[:5]) or "nothing"
    raise ModelError(f"{path.name} holds no weights: expected model.safetensors or model.onnx, got {held}")


def _family(file: Path) -> str:
    """Tell the family of an ONNX file from the config.json of the export, where there is one."""
    return _FAMILIES.get(str(read_beside(file, "config.json").get("model_type")), "")
