"""DINO ViTs against the stack that people use, transformers on torch: ``python -m benchmarks.vit``.

Needs what ``make parity`` installs. Weights are random, made by transformers, the same files for both; each figure is
the median of new processes that take turns. Both stacks go from decoded 28-pixel images (Fashion-MNIST) to vectors,
with each one's own preprocessing to 224 pixels unless a row says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["main"]

# name -> hidden size, heads, patch, side of the learned positions
SIZES = {"dino-vits16": (384, 6, 16, 224), "dinov2-small": (384, 6, 14, 518), "dino-vitb16": (768, 12, 16, 224)}
DEPTH = 12


# --- workers: one process each, a line of JSON at the end ------------------------------------------------------------


def make_weights(folder: Path) -> None:
    """Save random weights of every size, as transformers names them."""
    torch, transformers = _import_torch()
    torch.manual_seed(0)
    for name, (dim, heads, patch, side) in SIZES.items():
        kind = "Dinov2" if name.startswith("dinov2") else "ViT"
        settings = {
            "hidden_size": dim,
            "num_attention_heads": heads,
            "patch_size": patch,
            "image_size": side,
            "intermediate_size": 4 * dim,
        }
        if kind == "Dinov2":
            del settings["intermediate_size"]
        model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**settings))
        with torch.no_grad():
            for key, value in model.named_parameters():
                if "lambda" in key:
                    value.fill_(0.5)
        model.save_pretrained(folder / name)


def dinoscope_rate(folder: Path, name: str, device: str, resolution: str, images: str) -> dict[str, float]:
    """Embed with dinoscope; return images a second."""
    from dinoscope.models.encoder import Encoder

    encoder = Encoder(str(folder / name), device=device, resolution=int(resolution))
    return _rate(encoder.encode, _images(int(images)))


def torch_rate(folder: Path, name: str, images: str) -> dict[str, float]:
    """Embed as the notebook does; return images a second."""
    embed = _notebook(folder, name)
    return _rate(embed, _images(int(images)))


def torch_matrix_rate(precision: str) -> dict[str, float]:
    """Multiply large matrices; return the best GFLOP/s of some tries."""
    torch, _ = _import_torch()
    size = 2048
    a = torch.randn(size, size).to(torch.bfloat16 if precision == "bf16" else torch.float32)
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - began)
    return {"rate": 2 * size**3 / min(seconds) / 1e9}


def cosine(folder: Path, name: str, images: str) -> dict[str, float]:
    """Return the least cosine between the vectors of fp32 and of bf16."""
    from dinoscope.models.encoder import Encoder

    chosen = _images(int(images))
    plain, short = (Encoder(str(folder / name), device=device).encode(chosen) for device in ("cpu", "openvino"))
    return {"cosine": float((plain * short).sum(1).min())}


def dinoscope_job(folder: Path, name: str, device: str, resolution: str, images: str) -> dict[str, float]:
    """Do the notebook's whole job with dinoscope: vectors, map, silhouette."""
    from dinoscope import Collection, Encoder, silhouette

    encoder = Encoder(str(folder / name), device=device, resolution=int(resolution))
    with tempfile.TemporaryDirectory() as place:
        collection = Collection.from_images("fashion-mnist-test", place, model=encoder, limit=int(images))
        return {"silhouette": silhouette(collection.map(), collection.labels, "euclidean")}


def notebook_job(folder: Path, name: str, images: str) -> dict[str, float]:
    """Do the notebook's whole job with its own stack."""
    from sklearn.metrics import silhouette_score

    vectors = _notebook(folder, name)(_images(int(images)))
    from umap import UMAP

    points = UMAP(metric="cosine", n_neighbors=15, min_dist=0.1, random_state=42).fit_transform(vectors)
    return {"silhouette": float(silhouette_score(points, _labels(int(images))))}


def dinoscope_photographs(folder: Path, name: str, photographs: Path, images: str) -> dict[str, float]:
    """Embed photographs with the command that people type, without an option that chooses how."""
    command = [sys.executable, "-m", "dinoscope", "embed", str(photographs), "--model", str(folder / name)]
    with tempfile.TemporaryDirectory() as place:
        chosen = ["-o", str(Path(place) / "photos.dino"), "--limit", images, "--json"]
        done = subprocess.run([*command, *chosen], check=True, capture_output=True)
    return {"embedded": json.loads(done.stdout)["embedded"]}


def torch_photographs(folder: Path, name: str, photographs: Path, images: str) -> dict[str, float]:
    """Embed as many photographs as the notebook does, decoded a batch at a time."""
    from PIL import Image

    embed = _notebook(folder, name)
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    files = files[: int(images)]
    for start in range(0, len(files), 32):
        embed([np.asarray(Image.open(path).convert("RGB")) for path in files[start : start + 32]])
    return {"embedded": len(files)}


def first_vector(folder: Path, name: str) -> dict[str, float]:
    """Embed one image."""
    from dinoscope.models.encoder import Encoder

    Encoder(str(folder / name), device="cpu").encode(_images(1))
    return {}


def batch_of_16(folder: Path, name: str) -> dict[str, float]:
    """Embed two batches of 16."""
    from dinoscope.models.encoder import Encoder

    Encoder(str(folder / name), device="cpu", batch_size=16).encode(_images(32))
    return {}


WORKERS: dict[str, Callable[..., dict[str, float] | None]] = {
    each.__name__: each
    for each in (
        make_weights,
        dinoscope_rate,
        torch_rate,
        torch_matrix_rate,
        cosine,
        dinoscope_job,
        notebook_job,
        dinoscope_photographs,
        torch_photographs,
        first_vector,
        batch_of_16,
    )
}


def _notebook(folder: Path, name: str) -> Callable[[Any], Any]:
    """Return the notebook's way from images to vectors: processor, model, CLS, batches of 32."""
    torch, transformers = _import_torch()
    from PIL import Image

    if name.startswith("dinov2"):
        model = transformers.Dinov2Model.from_pretrained(folder / name).eval()
        processor = transformers.BitImageProcessor(
            size={"shortest_edge": 256},
            crop_size={"height": 224, "width": 224},
            resample=3,
            do_center_crop=True,
            image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
        )
    else:
        model = transformers.ViTModel.from_pretrained(folder / name, add_pooling_layer=False).eval()
        processor = transformers.ViTImageProcessor(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])

    def embed(images: Any) -> Any:
        vectors = []
        with torch.no_grad():
            for start in range(0, len(images), 32):
                pictures = [Image.fromarray(image) for image in images[start : start + 32]]
                inputs = processor(images=pictures, return_tensors="pt")
                vectors.append(model(**inputs).last_hidden_state[:, 0].numpy())
        return np.concatenate(vectors)

    return embed


def _import_torch() -> tuple[Any, Any]:
    import torch
    import transformers

    import tests.reference.torchvision_operators  # noqa: F401  torchvision does not import without them here

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers


def _images(count: int) -> list[Any]:
    from dinoscope.sources.datasets.named import load_dataset

    source = load_dataset("fashion-mnist-test")
    return [source.load(index) for index in range(count)]


def _labels(count: int) -> list[str | None]:
    from dinoscope.sources.datasets.named import load_dataset

    return [item.label for item in load_dataset("fashion-mnist-test").items[:count]]


def _rate(embed: Callable[[Any], Any], images: list[Any]) -> dict[str, float]:
    embed(images[:32])
    began = time.perf_counter()
    embed(images)
    return {"rate": len(images) / (time.perf_counter() - began)}


# --- the tables ------------------------------------------------------------------------------------------------------


def run(worker: str, *arguments: object) -> dict[str, float]:
    """Run a worker in a new process; add its wall seconds and its peak memory in MB."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.vit", "--worker", worker, *map(str, arguments)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{worker} {arguments} failed: run it by hand with --worker")
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result | {"seconds": time.perf_counter() - began, "megabytes": usage.ru_maxrss / 1024}


def in_turn(repeats: int, *calls: tuple[object, ...]) -> list[float]:
    """Run workers in turn, so that a change of the machine's speed meets all; return the median rate of each."""
    rates: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for each, call in zip(rates, calls, strict=True):
            each.append(run(str(call[0]), *call[1:])["rate"])
    return [statistics.median(each) for each in rates]


def gigaflops_an_image(name: str, resolution: int) -> float:
    """Count two operations for every multiplication in the products of a ViT."""
    dim, _, patch, _ = SIZES[name]
    patches = (resolution // patch) ** 2
    tokens = patches + 1
    block = tokens * 12 * dim * dim + 2 * tokens * tokens * dim
    return 2 * (DEPTH * block + patches * 3 * patch * patch * dim) / 1e9


def small(folder: Path, images: int, repeats: int) -> None:
    """Print images a second of ViT-S/16 beside the notebook's stack."""
    name = "dino-vits16"
    notebook, plain, vino, short = in_turn(
        repeats,
        ("torch_rate", folder, name, images),
        ("dinoscope_rate", folder, name, "cpu", 224, images),
        ("dinoscope_rate", folder, name, "openvino-fp32", 224, images),
        ("dinoscope_rate", folder, name, "openvino", 224, images),
    )
    alike = run("cosine", folder, name, 32)["cosine"]
    print("| ViT-S/16 at 224 pixels | images/s | times the notebook's stack | must |\n| --- | --- | --- | --- |")
    print(f"| transformers and torch, fp32 | {notebook:.1f} | 1 | |")
    print(f"| dinoscope on ONNX Runtime, fp32 | {plain:.1f} | {plain / notebook:.2f} | 2.0 |")
    print(f"| dinoscope on OpenVINO, fp32 | {vino:.1f} | {vino / notebook:.2f} | |")
    print(
        f"| dinoscope on OpenVINO, bf16 (least cosine to fp32 {alike:.5f}) | {short:.1f} | {short / notebook:.2f} "
        "| 3.7, 0.999 |\n",
        flush=True,
    )


def patches(folder: Path, images: int, repeats: int) -> None:
    """Print what fewer pixels are worth on small images."""
    name = "dinov2-small"
    large, fewer = in_turn(
        repeats,
        ("dinoscope_rate", folder, name, "cpu", 224, images),
        ("dinoscope_rate", folder, name, "cpu", 112, 4 * images),
    )
    print("| ViT-S/14 on 28-pixel images, ONNX Runtime, fp32 | images/s | ratio | must |\n| --- | --- | --- | --- |")
    print(
        f"| at 224 pixels | {large:.1f} | 1 | |\n| at 112 pixels | {fewer:.1f} | {fewer / large:.2f} | 4 |\n",
        flush=True,
    )


def share(folder: Path, images: int, repeats: int) -> None:
    """Print how much of the processor's products ViT-B turns into vectors."""
    base = "dino-vitb16"
    work = gigaflops_an_image(base, 224)
    fp32, bf16, plain, vino, short = in_turn(
        repeats,
        ("torch_matrix_rate", "fp32"),
        ("torch_matrix_rate", "bf16"),
        ("dinoscope_rate", folder, base, "cpu", 224, max(32, images // 4)),
        ("dinoscope_rate", folder, base, "openvino-fp32", 224, max(32, images // 4)),
        ("dinoscope_rate", folder, base, "openvino", 224, max(32, images // 4)),
    )
    print(f"| ViT-B/16, 224 pixels, {work:.1f} GFLOP an image | images/s | GFLOP/s | share of the product | must |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| matrix product of torch, 2048 x 2048, fp32; bf16 | | {fp32:.0f}; {bf16:.0f} | 1 | |")
    for name, rate, peak, must in (
        ("ONNX Runtime, fp32", plain, fp32, 0.75),
        ("OpenVINO, fp32", vino, fp32, 0.75),
        ("OpenVINO, bf16", short, bf16, 0.65),
    ):
        print(f"| {name} | {rate:.2f} | {rate * work:.0f} | {rate * work / peak:.2f} | {must} |", flush=True)
    print()


def footprint(folder: Path, images: int, repeats: int) -> None:
    """Print memory and the time to the first vector."""
    memory = max(run("batch_of_16", folder, "dino-vitb16")["megabytes"] for _ in range(repeats))
    seconds = statistics.median(run("first_vector", folder, "dinov2-small")["seconds"] for _ in range(repeats + 2))
    print("| what | figure | must |\n| --- | --- | --- |")
    print(f"| peak memory, ViT-B/16, batches of 16 | {memory:.0f} MB | 1500 MB |")
    print(f"| first vector of ViT-S/14 from a local folder, new process | {seconds:.2f} s | 3 s |\n", flush=True)


def job(folder: Path, images: int, repeats: int) -> None:
    """Print the time of the notebook's job, cold process to silhouette."""
    name = "dinov2-small"
    rows = [
        (f"dinoscope, {label}, {side} pixels", ("dinoscope_job", folder, name, device, side, images))
        for label, device, side in (
            ("OpenVINO, bf16", "openvino", 112),
            ("ONNX Runtime, fp32", "cpu", 112),
            ("OpenVINO, bf16", "openvino", 224),
            ("ONNX Runtime, fp32", "cpu", 224),
        )
    ]
    print(
        f"| {images:,} Fashion-MNIST images, DINOv2-small: vectors, map, silhouette | seconds | times faster | must |"
    )
    print("| --- | --- | --- | --- |")
    slow = run("notebook_job", folder, name, images)["seconds"]
    print(f"| transformers, torch, umap-learn, 224 pixels | {slow:.0f} | 1 | |", flush=True)
    for label, call in rows:
        seconds = run(*call)["seconds"]
        print(f"| {label} | {seconds:.0f} | {slow / seconds:.1f} | 10 |", flush=True)


def photographs(folder: Path, images: int, repeats: int, place: Path) -> None:
    """Print the time of a folder of photographs, cold process to vectors on disk, without an option."""
    name = "dino-vits16"
    calls = ("torch_photographs", "dinoscope_photographs")
    taken: dict[str, list[float]] = {call: [] for call in calls}
    for _ in range(repeats):
        for call in calls:
            done = run(call, folder, name, place, images)
            taken[call].append(done["seconds"])
            images = int(done["embedded"])  # the folder may hold fewer
    slow, fast = (statistics.median(taken[call]) for call in calls)
    print(f"| {images:,} photographs to vectors, ViT-S/16 at 224 pixels, cold process | seconds | times faster |")
    print("| --- | --- | --- |")
    print(
        f"| transformers and torch | {slow:.1f} | 1 |\n| dinoscope embed | {fast:.1f} | {slow / fast:.2f} |\n",
        flush=True,
    )


TABLES = {each.__name__: each for each in (small, patches, share, footprint, job)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=128, help="of a measurement of ViT-S")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--job-images", type=int, default=5_000, help="of the notebook's job, which takes 20 minutes")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--photographs", type=Path, help="a folder of them: prints the time of 500, and no other table")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, *rest = arguments.worker
        paths = [Path(each) if Path(each).is_dir() else each for each in rest]
        print(json.dumps(WORKERS[name](*paths) or {}))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run("make_weights", folder)
        if arguments.photographs:
            photographs(folder, 500, arguments.repeats, arguments.photographs.resolve())
            return
        for name in arguments.tables:
            TABLES[name](folder, arguments.job_images if name == "job" else arguments.images, arguments.repeats)


if __name__ == "__main__":
    main()
