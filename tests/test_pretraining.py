"""The recipe that makes the bundled weights: it learns, does not collapse, resumes exactly and exports faithfully."""

import copy
import gzip
import importlib
import io
import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

# By name, so that the type checker needs no torch where there is none.
_MODULES = "arithmetic augment card __main__ export images losses monitor networks recipes restore sets train"
arithmetic, augment, card, command, export, images, losses, monitor, networks, recipes, restore, sets, train = (
    importlib.import_module(f"pretraining.{name}") for name in _MODULES.split()
)

SHAPES = ("disc", "square", "bar", "ring")


def draw(rng: np.random.Generator, shape: str, side: int = 32) -> np.ndarray:
    """Draw one shape in its colour, somewhere, under noise."""
    y, x = np.mgrid[:side, :side] - rng.uniform(0.4, 0.6, 2)[:, None, None] * side
    radius = rng.uniform(0.2, 0.35) * side
    distance = np.hypot(x, y)
    mask = {
        "disc": distance < radius,
        "square": np.maximum(abs(x), abs(y)) < radius,
        "bar": abs(y) < radius / 3,
        "ring": abs(distance - radius) < side / 12,
    }[shape]
    colour = np.eye(3)[SHAPES.index(shape) % 3] * 160 + 60
    picture: np.ndarray = mask[..., None] * colour + rng.uniform(0, 40, (side, side, 3))
    return picture.clip(0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with 256 colour images as Parquet, and 60 grey ones in IDX files."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = [SHAPES[i % 4] for i in range(256)]
    cells = [png(draw(rng, label)) for label in labels]
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary()), "label": labels}), folder / "cifar10-train.parquet")
    grey = np.stack([draw(rng, SHAPES[i % 4], 28)[..., 0] for i in range(60)])
    header = struct.pack(">4i", 0x803, 60, 28, 28)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + grey.tobytes()))
    header = struct.pack(">2i", 0x801, 60)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + bytes(i % 4 for i in range(60))))
    return folder


@pytest.fixture(scope="module")
def colour(data):
    return images.load("cifar10", data)


RECIPE = recipes.Recipe(
    backbone="resnet-tiny",
    shares={"cifar10": 1.0},
    size=16,
    local_size=8,
    batch=32,
    steps=80,
    ema=0.9,
    warmup=0.3,
    seed=1,
)


# No trial of what is fastest: it takes time, and may choose otherwise the next time.
QUIET = {"arithmetic": arithmetic.Arithmetic(), "report": lambda line: None}


def fit(recipe: Any, sets: Any, path: Path, **options: Any) -> Any:
    run = train.Run(recipe)
    assert train.train(run, sets, path, **{**QUIET, **options})
    return run


@pytest.fixture(scope="module")
def trained(colour, tmp_path_factory):
    """A trained run of each kind of network, for the exports."""
    folder = tmp_path_factory.mktemp("runs")
    short = replace(RECIPE, steps=6, size=24, local_size=16)
    return {
        name: fit(replace(short, backbone=name), [colour], folder / f"{name}.pt")
        for name in ("resnet-tiny", "resnet-tiny-strided", "vit-tiny")
    }


# The images


def test_held_out_images_are_the_last_ones_and_never_trained_on(colour, data, tmp_path, monkeypatch):
    whole = images.load("cifar10", data, held_out=0).images
    assert len(colour.held_out) == 256 // 5 == sets.SETS["cifar10"].held_out(256)
    torch.testing.assert_close(torch.cat([colour.images, colour.held_out]), whole, rtol=0, atol=0)
    kept = {image.numpy().tobytes() for image in colour.held_out}
    seen: set[bytes] = set()

    def spy(batch, views):
        seen.update(image.numpy().tobytes() for image in batch)
        return augment.random_views(batch, views)

    monkeypatch.setattr(train, "random_views", spy)
    fit(replace(RECIPE, steps=20), [colour], tmp_path / "run.pt")
    assert len(seen) > 150
    assert not seen & kept


def test_grey_images_are_read_from_idx_files(data):
    grey = images.load("fashion-mnist", data)
    assert (grey.images.shape, grey.held_out.shape) == ((58, 1, 28, 28), (2, 1, 28, 28))
    assert grey.images.dtype == torch.uint8
    assert grey.held_out_labels.tolist() == [58 % 4, 59 % 4]
    assert len(images.load("fashion-mnist", data, limit=30).images) == 29


def test_the_sets_of_the_bundled_weights_hold_out_what_the_benchmarks_ask():
    assert {name: row.held_out() for name, row in sets.SETS.items()} == {
        "cifar10": 10_000,
        "tiny-imagenet": 10_100,
        "fashion-mnist": 2_000,
    }


# Augmentation


@pytest.mark.parametrize("channels", [1, 3])
def test_views_have_shape_and_range(channels):
    torch.manual_seed(0)
    batch = torch.randint(0, 256, (16, channels, 32, 32), dtype=torch.uint8)
    views = augment.Views(24, (0.2, 1.0), rotation=20, jitter=0.5, greyscale=0.3, erase=0.5)
    out = augment.random_views(batch, views)
    assert out.shape == (16, 3, 24, 24)
    assert out.dtype == torch.float32
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_stays_grey(channels):
    torch.manual_seed(0)
    batch = torch.randint(0, 256, (16, 1, 32, 32), dtype=torch.uint8).expand(-1, channels, -1, -1)
    out = augment.random_views(batch, augment.Views(16, (0.3, 1.0), jitter=0.8, greyscale=0.2, erase=0.5))
    torch.testing.assert_close(out, out[:, :1].expand(-1, 3, -1, -1), rtol=0, atol=1e-5)


def test_the_greyscale_share_loses_its_colour(colour):
    torch.manual_seed(0)
    out = augment.random_views(colour.images[:20], augment.Views(32, (1, 1), jitter=0, greyscale=1.0))
    torch.testing.assert_close(out, out[:, :1].expand(-1, 3, -1, -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_full_crop_without_changes_is_the_image(colour, flip):
    batch = colour.images[:8]
    out = augment.random_views(batch, augment.Views(32, (1.0, 1.0), jitter=0, ratio=1, flip=flip))
    expected = batch.flip(3) if flip else batch
    torch.testing.assert_close(out, expected.float() / 255, rtol=0, atol=2e-4)  # gamma keeps 0 a little above 0


def test_colours_turn_and_grey_stays():
    third = torch.tensor([2 * math.pi / 3])
    red, grey = torch.tensor([1.0, 0, 0]), torch.full((3,), 0.4)
    turned = augment._turns(third)[0]
    torch.testing.assert_close((turned @ red).sort().values, torch.tensor([0.0, 0, 1]), rtol=0, atol=1e-6)
    assert (turned @ red)[0] < 0.5
    torch.testing.assert_close(turned @ grey, grey)
    batch = torch.zeros(64, 3, 8, 8, dtype=torch.uint8)
    batch[:, 0] = 200
    torch.manual_seed(0)
    plain, wide = (
        augment.random_views(batch, augment.Views(8, (1, 1), jitter=0, hue=hue))[:, 1:].amax((1, 2, 3))
        for hue in (0.0, 90.0)
    )
    assert plain.max() < 0.01
    assert (wide > 0.2).float().mean() > 0.5


def test_a_photograph_keeps_its_middle_before_other_surroundings():
    torch.manual_seed(0)
    batch = (torch.arange(40, dtype=torch.uint8) * 6).view(40, 1, 1, 1).expand(-1, 3, 32, 32)
    out = augment.composed(batch, 1.0)
    assert torch.equal(out[:, :, 12:20, 12:20], batch[:, :, 12:20, 12:20])
    corners = out[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.equal(corners, corners[:, :1, :1].expand_as(corners))  # one ground each
    assert (corners[:, 0, 0] != batch[:, 0, 0, 0]).float().mean() > 0.9
    assert torch.equal(augment.composed(batch, 0.0), batch)
    some = (augment.composed(batch.repeat(10, 1, 1, 1), 0.3) != batch.repeat(10, 1, 1, 1)).flatten(1).any(1)
    assert 0.2 < some.float().mean() < 0.4
    assert batch.unique().tolist() == list(range(0, 240, 6))  # untouched itself


def test_a_grey_picture_is_put_on_a_photograph_where_it_is_not_black():
    torch.manual_seed(0)
    grey = torch.zeros(8, 1, 28, 28, dtype=torch.uint8)
    grey[:, :, 8:20, 8:20] = 200
    blue = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    blue[:, 2] = 250
    out = augment.composed(grey, 1.0, blue)
    assert out.shape == (8, 3, 28, 28)
    assert (out[:, :, :8] == torch.tensor([0, 0, 250]).view(1, 3, 1, 1)).all()
    thing = out[:, :, 8:20, 8:20]
    assert thing.flatten(2).unique(dim=2).shape[2] <= 8  # one colour a picture
    assert thing.min() >= 0.4 * 200 - 1
    assert len(thing[:, 0, 0, 0].unique()) > 4
    assert torch.equal(augment.composed(grey, 1.0), grey)  # no photograph at hand


# How steps are computed


def scripted(times: dict[str, float]) -> tuple[Any, Any, list[str]]:
    """Return a step and a clock that say a way takes so long, and what was asked for."""
    now, asked = [0.0], []

    def step(way):
        torch.rand(3)
        asked.append(str(way))
        now[0] += times[str(way)]

    return step, lambda: now[0], asked


def test_the_fastest_way_is_chosen_and_said():
    times: dict[str, float] = {"float32,channels-last": 4, "float32,channels-first": 2, "bfloat16,channels-last": 3}
    times |= {"bfloat16,channels-first": 9, "float32,channels-first,columns": 1.5}
    step, clock, asked = scripted({f"{way},threads=1": seconds for way, seconds in times.items()})
    lines: list[str] = []
    state = torch.get_rng_state()
    best = arithmetic.choose(torch.device("cpu"), step, lines.append, clock)
    assert best == arithmetic.Arithmetic(False, False, True, threads=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(lines) == 1
    assert lines[0].startswith(f"arithmetic: {best} (tried: ")
    assert "bfloat16,channels-first,threads=1 9000 ms" in lines[0]
    # what takes more than twice the best time is not asked again
    assert [asked.count(f"{way},threads=1") for way in times] == [3, 3, 3, 1, 3]


def test_fewer_threads_are_tried_with_the_best_of_the_rest():
    torch.set_num_threads(2)
    try:
        ways = [f"{a},{b}" for a in ("float32", "bfloat16") for b in ("channels-last", "channels-first")]
        times = {f"{way},threads=2": 5.0 + number for number, way in enumerate(ways)}
        times |= {"float32,channels-last,columns,threads=2": 6.0, "float32,channels-last,threads=1": 4.0}
        step, clock, _ = scripted(times)
        best = arithmetic.choose(torch.device("cpu"), step, lambda line: None, clock)
        assert str(best) == "float32,channels-last,threads=1"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_trial_leaves_the_run_as_it_was(colour, tmp_path):
    run, other = train.Run(RECIPE), train.Run(RECIPE)
    lines: list[str] = []
    parts = [(colour.images, RECIPE.batch)]
    run.student.train()
    train._settle(run, parts, None, lines.append)
    assert lines[0].startswith(f"arithmetic: {run.arithmetic} (tried: ")
    assert run.machine == arithmetic.machine(run.device)
    assert (run.step, run.seen) == (0, 0)
    for kind in ("student", "teacher"):
        one, two = getattr(run, kind).state_dict(), getattr(other, kind).state_dict()
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("way", ["float32,channels-last", "bfloat16,channels-first,columns", "float32,threads=2"])
def test_a_way_is_read_as_it_is_written(way):
    read = arithmetic.Arithmetic.parse(way)
    assert arithmetic.Arithmetic.parse(str(read)) == read
    assert set(way.split(",")) <= set(str(read).split(","))


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("stride", "kernel", "shape"), [(1, 3, (3, 4)), (2, 3, (6, 6)), (2, 4, (7, 5))])
def test_the_gradient_by_columns_is_the_gradient(bfloat16, stride, kernel, shape):
    torch.manual_seed(0)
    layer = arithmetic.Convolution(5, 96, kernel, stride, 1, bias=False)
    x = torch.randn(3, 5, *shape, requires_grad=True)
    found = []
    for columns in (False, True):
        layer.columns = columns
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            out = layer(x)
        assert ("ByColumns" in out.grad_fn.name()) == columns
        found.append((out.float(), *torch.autograd.grad(out.float().square().sum(), [x, layer.weight])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2 if bfloat16 else 1e-4, atol=2e-2 if bfloat16 else 1e-4)


# Losses


def test_coding_rate_is_the_log_determinant():
    z = np.random.default_rng(0).normal(size=(24, 10))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    m, p, eps = 24, 10, 0.05
    half = 0.5 * np.linalg.slogdet(np.eye(p) + p / (m * eps) * z.T @ z)[1]
    assert float(losses.coding_rate(torch.from_numpy(z))) == pytest.approx((p + m) / (p * m) * half, rel=1e-5)


def test_coding_rate_rewards_spread():
    spread = torch.nn.functional.normalize(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    assert losses.coding_rate(spread) > 2 * losses.coding_rate(spread[:1].expand(64, -1))


def test_effective_rank_tells_a_collapse():
    rng = torch.Generator().manual_seed(0)
    spread = torch.randn(200, 16, generator=rng)
    line = torch.randn(200, 1, generator=rng) @ torch.randn(1, 16, generator=rng)
    assert monitor.effective_rank(spread) > 14
    assert monitor.effective_rank(line) == pytest.approx(1, abs=0.01)
    assert monitor.effective_rank(spread[:1].expand(200, -1)) <= 1.01


def test_knn_accuracy_on_separate_groups():
    vectors = torch.eye(4).repeat(10, 1)
    labels = torch.arange(4).repeat(10)
    assert monitor.knn_accuracy(vectors, labels, vectors, labels, k=5) == 1
    assert monitor.knn_accuracy(vectors, labels, vectors, (labels + 1) % 4, k=5) == 0


# Training


def margin(run: Any, batch: Any) -> float:
    """How much closer two views of one image lie than views of two images, in what the loss compares (cosine).

    0 in every kind of collapse, also in one that effective rank misses: all vectors nearly the same, but for a little
    noise in all directions.
    """
    state = torch.get_rng_state()
    torch.manual_seed(7)
    views = [augment.random_views(batch, augment.Views(16, (0.4, 1.0))) for _ in range(2)]
    torch.set_rng_state(state)
    teacher = copy.deepcopy(run.teacher)  # batch normalisation moves its statistics
    head = teacher["head"]
    head.last = None
    with torch.no_grad():
        one, other = (head(teacher["backbone"](view)[0]) for view in views)
    cosine, n = one @ other.T, len(batch)
    same = float(cosine.trace()) / n
    return same - (float(cosine.sum()) - n * same) / (n * (n - 1))


@pytest.mark.parametrize("loss", ["simdino", "dino"])
def test_training_learns_and_does_not_collapse(loss, colour, tmp_path):
    recipe = replace(RECIPE, loss=loss)
    before, after = train.Run(recipe), fit(recipe, [colour], tmp_path / "run.pt")
    fixed = colour.held_out[:48]
    assert margin(after, fixed) > 1.4 * margin(before, fixed) > 0.01
    assert monitor.effective_rank(monitor.features(after.teacher["backbone"], colour.images, 16)) > 5
    assert after.seen == recipe.steps * 32
    assert after.history[-1]["cifar10"].keys() == {"knn", "rank"}


@pytest.mark.parametrize("way", ["float32,channels-last", "bfloat16,channels-first,columns,threads=1"])
def test_a_killed_run_resumes_to_the_same_bits(way, colour, tmp_path):
    recipe, how = replace(RECIPE, steps=7, composed=0.3), arithmetic.Arithmetic.parse(way)
    whole = fit(recipe, [colour], tmp_path / "whole.pt", arithmetic=how)

    def kill(line):
        if json.loads(line)["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(train.Run(recipe), [colour], tmp_path / "cut.pt", monitor_every=0, report=kill, arithmetic=how)
    torch.rand(5)  # whatever happens in between
    resumed = train.Run.load(tmp_path / "cut.pt")
    assert resumed.step == 3  # the last reading that was saved
    lines: list[str] = []
    assert train.train(resumed, [colour], tmp_path / "cut.pt", report=lines.append)
    assert resumed.arithmetic == how  # kept, without a trial
    assert [json.loads(line)["step"] for line in lines] == [7]
    assert (resumed.step, resumed.seen) == (whole.step, whole.seen)
    for kind in ("student", "teacher"):
        one, other = getattr(whole, kind).state_dict(), getattr(resumed, kind).state_dict()
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_pause_is_not_the_end(colour, tmp_path):
    run = train.Run(replace(RECIPE, steps=500))
    assert not train.train(run, [colour], tmp_path / "run.pt", pause_after=0.05, **QUIET)
    assert 0 < run.step < 500
    assert train.Run.load(tmp_path / "run.pt").step == run.step


def test_a_run_that_ends_early_is_cooled_down(colour, tmp_path):
    run = train.Run(replace(RECIPE, steps=40, warmup=0.01))
    rates: list[float] = []
    step = run.optimizer.step

    def watched():
        rates.append(run.optimizer.param_groups[0]["lr"])
        step()

    run.optimizer.step = watched
    assert not train.train(run, [colour], tmp_path / "run.pt", pause_after=0, **QUIET)
    while run.step < 18:
        train._step(run, [(colour.images, 32)])
    before = rates[-1]
    assert before > 0.5 * RECIPE.learning_rate
    run.cool_down()
    run.save(tmp_path / "run.pt")
    resumed = train.Run.load(tmp_path / "run.pt")
    resumed.cool_down()  # asked for twice: it goes on as it began
    assert resumed.end == run.end == pytest.approx(0.5)
    assert train.train(run, [colour], tmp_path / "run.pt", **QUIET)
    assert run.step == 20
    assert rates[-2] == pytest.approx(before, rel=0.1)
    assert rates[-1] == pytest.approx((rates[-2] + 0.02 * RECIPE.learning_rate) / 2, rel=0.02)
    assert run.decay == 0


def test_thumbnails_are_seen_at_a_side_of_their_own(colour, tmp_path):
    recipe = replace(RECIPE, size=32, local_size=16, thumbnail=16, shares={"cifar10": 0.5, "tiny-imagenet": 0.5})
    large = torch.nn.functional.interpolate(colour.images.float(), scale_factor=2).to(torch.uint8)
    photographs = images.ImageSet("tiny-imagenet", large, large[:20], colour.labels, colour.labels[:20])
    assert [view.size for view in recipe.views(photographs.images)] == [32, 16]
    assert [view.size for view in recipe.views(colour.images)] == [16, 8]
    assert [view.size for view in replace(recipe, thumbnail=0).views(colour.images)] == [32, 16]
    run = fit(replace(recipe, steps=2), [colour, photographs], tmp_path / "run.pt")
    assert run.history[-1].keys() >= {"cifar10", "tiny-imagenet"}
    # and the projection is fitted on them so, here CIFAR-10's first, which come first
    features = export._image_features(run, [colour, photographs], count=20)
    half = torch.nn.functional.interpolate(colour.images[:10].float() / 255, (16, 16), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = run.teacher["backbone"].eval().features(half)
    np.testing.assert_allclose(features[:10], expected.numpy(), rtol=0, atol=1e-4)
    assert len(features) == 20


def test_views_of_several_sides_keep_their_places():
    run = train.Run(RECIPE)
    run.teacher.eval()
    torch.manual_seed(0)
    views = [[torch.rand(3, 3, 16, 16), torch.rand(2, 3, 8, 8)], [torch.rand(3, 3, 8, 8), torch.rand(2, 3, 8, 8)]]
    with torch.no_grad():
        out = train._project(run.teacher, views)
        assert out.shape == (2, 5, 256)
        for row, view in enumerate(views):
            alone = torch.cat([run.teacher["head"](run.teacher["backbone"](part)[0]) for part in view])
            torch.testing.assert_close(out[row], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 1.0}, "exactly one of steps and minutes"),
        ({"loss": "ibot"}, "unknown loss 'ibot': expected 'simdino' or 'dino'"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **changes)


# Export


def session(path: Path) -> Any:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def pixels(count: int, side: int = 24) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.stack([draw(rng, SHAPES[i % 4], side) for i in range(count)])


def scaled(batch: np.ndarray) -> Any:
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255


def reference(run: Any, batch: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        out = run.teacher["backbone"].eval()(scaled(batch))
    return [value.numpy() for value in out]


@pytest.mark.parametrize("backbone", ["resnet-tiny", "resnet-tiny-strided", "vit-tiny"])
class TestExport:
    def test_float32_agrees_with_torch(self, backbone, trained, tmp_path):
        export.export(trained[backbone], tmp_path / "m.onnx", name="m", precision="float32")
        batch = pixels(6)
        for got, expected in zip(
            session(tmp_path / "m.onnx").run(None, {"pixels": batch}), reference(trained[backbone], batch), strict=True
        ):
            assert got.dtype == np.float32
            assert got.shape == expected.shape
            assert np.abs(got - expected).max() <= 1e-4

    def test_float16_keeps_the_direction(self, backbone, trained, tmp_path):
        for precision in ("float16", "float32"):
            export.export(trained[backbone], tmp_path / f"{precision}.onnx", name="m", precision=precision)
        assert (tmp_path / "float16.onnx").stat().st_size < 0.65 * (tmp_path / "float32.onnx").stat().st_size
        batch = pixels(6)
        for got, expected in zip(
            session(tmp_path / "float16.onnx").run(None, {"pixels": batch}),
            reference(trained[backbone], batch),
            strict=True,
        ):
            cosine = (got * expected).sum(-1) / np.linalg.norm(got, axis=-1) / np.linalg.norm(expected, axis=-1)
            assert cosine.min() >= 0.9999

    def test_an_image_does_not_see_its_batch(self, backbone, trained, tmp_path):
        export.export(trained[backbone], tmp_path / "m.onnx", name="m")
        run, batch = session(tmp_path / "m.onnx"), pixels(64)
        alone = run.run(["cls"], {"pixels": batch[:1]})[0][0]
        for size in (7, 64):
            together = run.run(["cls"], {"pixels": batch[size - 1 :: -1]})[0]
            assert np.abs(together[-1] - alone).max() <= 1e-4
            assert np.abs(together[0] - alone).max() > 1e-2

    def test_projections_apply_to_image_and_patches(self, backbone, trained, colour, tmp_path):
        run, path = trained[backbone], tmp_path / "m.onnx"
        projections = export.fit_projections(run, [colour], 8)
        export.export(run, path, name="m", precision="float32", projections=projections)
        for shape in ((24, 24),) if backbone.startswith("vit") else ((24, 24), (8, 8), (20, 36)):
            batch = np.random.default_rng(0).integers(0, 256, (5, *shape, 3), np.uint8)
            with torch.no_grad():
                features = run.teacher["backbone"].eval().features(scaled(batch)).numpy()
            assert features.shape[1] == sum(width for width, _ in run.teacher["backbone"].parts)
            expected = features, reference(run, batch)[1]
            layers = projections.image, projections.patches
            for got, value, layer in zip(session(path).run(None, {"pixels": batch}), expected, layers, strict=True):
                np.testing.assert_allclose(got, (value - layer.offset) @ layer.matrix, rtol=0, atol=1e-4)

    def test_the_same_bytes_twice_and_what_they_say(self, backbone, trained, tmp_path):
        for name in ("a", "b"):
            export.export(trained[backbone], tmp_path / name, name="m")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        said = session(tmp_path / "a").get_modelmeta().custom_metadata_map
        assert said["name"] == "m"
        assert json.loads(said["recipe"])["backbone"] == backbone
        assert said["sets"] == "CIFAR-10 (40000 images)"
        assert said["images_seen"] == str(6 * 32)
        assert len(json.loads(said["readings"])) == len(trained[backbone].history)
        assert set(said) == {"name", "recipe", "sets", "images_seen", "minutes", "device", "readings"}

    def test_safetensors_hold_the_backbone(self, backbone, trained, tmp_path):
        safetensors = pytest.importorskip("safetensors.torch")
        for name in ("a", "b"):
            export.export_safetensors(trained[backbone], tmp_path / name, name="m")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        again = networks.build_backbone(backbone).eval()
        again.load_state_dict(safetensors.load_file(tmp_path / "a"))
        batch = torch.from_numpy(pixels(2)).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            assert torch.equal(again(batch)[0], trained[backbone].teacher["backbone"].eval()(batch)[0])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 4), (7, 7), (2, 3)])
def test_cells_are_means_of_quarters_and_forget_the_mirror(height, width):
    maps = torch.rand(3, 5, height, width)
    cells = networks.in_cells(maps, 4)
    # a pixel of 4 x 4 parts, so that each cell holds whole ones
    fine = maps.repeat_interleave(4, 2).repeat_interleave(4, 3)
    means = fine.view(3, 5, 4, height, 4, width).mean((3, 5))
    expected = ((means + means.flip(3)) / 2)[..., :2].transpose(2, 3).flatten(1)
    torch.testing.assert_close(cells, expected)
    torch.testing.assert_close(networks.in_cells(maps.flip(3), 4), cells)
    torch.testing.assert_close(networks.in_cells(maps, 1), maps.mean((2, 3)))


def test_parts_are_balanced_before_the_projection():
    rng = np.random.default_rng(0)
    vectors = np.hstack([100 * rng.normal(size=(4000, 3)), 0.01 * rng.normal(size=(4000, 2))]) + 5
    projection = export.fit_projection(vectors, 5, 0, parts=((3, 2.0), (2, 1.0)))
    out = (vectors - projection.offset) @ projection.matrix
    # total variance 4 over three directions, and 1 over two
    np.testing.assert_allclose(np.sort(out.var(0)), [0.5, 0.5, 4 / 3, 4 / 3, 4 / 3], rtol=0.1)
    with pytest.raises(ValueError, match="the parts must have 5 numbers together, got 4"):
        export.fit_projection(vectors, 2, parts=((3, 1.0), (1, 1.0)))


@pytest.mark.parametrize("backbone", ["resnet-tiny", "resnet-tiny-strided"])
def test_an_exported_file_is_read_back(backbone, trained, colour, tmp_path):
    run = trained[backbone]
    for precision in ("float32", "float16"):
        first, second = tmp_path / f"{precision}.onnx", tmp_path / f"{precision}-again.onnx"
        export.export(run, first, name="m", precision=precision, projections=export.fit_projections(run, [colour], 8))
        found = restore.restore(first)
        assert (found.recipe, found.seen, found.step, found.trained_on) == (run.recipe, run.seen, run.step, "cpu")
        assert [each["cifar10"] for each in found.history] == [each["cifar10"] for each in run.history]
        export.export(found, second, name="m", precision=precision)
        export.export(run, first, name="m", precision=precision)
        batch = pixels(6)
        for one, other in zip(*(session(path).run(None, {"pixels": batch}) for path in (first, second)), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_a_run_goes_on_from_an_exported_file(colour, tmp_path):
    run = fit(replace(RECIPE, steps=30, ema=0.5), [colour], tmp_path / "run.pt")
    export.export(run, tmp_path / "m.onnx", name="m", precision="float32")
    anew = restore.continued(tmp_path / "m.onnx", replace(RECIPE, seed=5), [colour])
    batch = scaled(pixels(64, 16))
    expected = run.teacher["backbone"].eval()(batch)[0]
    for kind in ("student", "teacher"):
        net = getattr(anew, kind)["backbone"]
        torch.testing.assert_close(net.eval()(batch)[0], expected, rtol=0, atol=1e-3)
    # and as a batch in training, whose own statistics take the place of those measured
    views = augment.random_views(colour.images[:128], RECIPE.views(colour.images)[0])
    with torch.no_grad():
        wanted = run.teacher["backbone"].eval()(views)[0]
        got = anew.student["backbone"].train()(views)[0]
        folded = restore.restore(tmp_path / "m.onnx").teacher["backbone"].train()(views)[0]
    assert torch.nn.functional.cosine_similarity(got, wanted).mean() > 0.97
    assert torch.nn.functional.cosine_similarity(folded, wanted).mean() < 0.9
    assert not torch.equal(anew.student["head"].mlp[0].weight, run.student["head"].mlp[0].weight)
    assert (anew.step, anew.seen, anew.history) == (0, 0, [])


def test_a_run_may_leave_out_residual_blocks(trained, colour, tmp_path, monkeypatch):
    monkeypatch.setitem(networks.BACKBONES, "resnet-light", lambda: networks.ResNet(8, (1, 0, 1)))
    export.export(trained["resnet-tiny"], tmp_path / "m.onnx", name="m")
    light = restore.continued(tmp_path / "m.onnx", replace(RECIPE, backbone="resnet-light"), [colour])
    stages = light.teacher["backbone"].stages
    assert [isinstance(stage, networks.Residual) for stage in stages] == [False, False, True, False, False, True]
    with pytest.raises(ValueError, match=r"m\.onnx does not fit a resnet-tiny-strided: choose the --backbone"):
        restore.continued(tmp_path / "m.onnx", replace(RECIPE, backbone="resnet-tiny-strided"), [colour])


def test_what_cannot_be_read_back(trained, tmp_path, capsys):
    export.export(trained["vit-tiny"], tmp_path / "vit.onnx", name="m")
    (tmp_path / "text.onnx").write_text("not a model")
    for name, message in (("vit", "holds a vit-tiny: only a ResNet"), ("text", "is no file that 'python -m pretr")):
        assert command.main(["export", str(tmp_path / f"{name}.onnx"), "--onnx", str(tmp_path / "m.onnx")]) == 1
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("shape", [(16, 16), (24, 40), (28, 28)])
def test_a_resnet_takes_any_size(shape, trained, tmp_path):
    export.export(trained["resnet-tiny"], tmp_path / "m.onnx", name="m", precision="float32")
    batch = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    got = session(tmp_path / "m.onnx").run(["cls", "patches"], {"pixels": batch})
    for one, other in zip(got, reference(trained["resnet-tiny"], batch), strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 1e-4


def test_a_vit_is_exported_at_the_asked_size(trained, tmp_path):
    export.export(trained["vit-tiny"], tmp_path / "m.onnx", name="m", precision="float32", size=40)
    batch = pixels(2, 40)
    got = session(tmp_path / "m.onnx").run(["cls", "patches"], {"pixels": batch})
    assert got[1].shape == (2, 25, 32)
    for one, other in zip(got, reference(trained["vit-tiny"], batch), strict=True):
        assert np.abs(one - other).max() <= 1e-4


def test_projection_is_pca_with_partial_whitening():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(4000, 5)) * [8, 4, 2, 1, 0.5] + 3).astype(np.float32)
    for whiten, ratio in ((0.0, 4.0), (0.5, 2.0), (1.0, 1.0)):
        projection = export.fit_projection(vectors, 3, whiten)
        out = (vectors - projection.offset) @ projection.matrix
        np.testing.assert_allclose(out.mean(0), 0, atol=1e-3)
        correlation = np.corrcoef(out.T)
        np.testing.assert_allclose(correlation, np.eye(3), atol=1e-3)
        assert out[:, 0].std() / out[:, 2].std() == pytest.approx(ratio, rel=0.1)
    with pytest.raises(ValueError, match=r"dimension must be 1\.\.5, got 6"):
        export.fit_projection(vectors, 6)
    with pytest.raises(ValueError, match=r"whiten must be 0\.\.1, got 2"):
        export.fit_projection(vectors, 2, 2)


# Command line and card


def test_from_images_to_files_and_card(data, tmp_path, capsys):
    checkpoint, model = tmp_path / "new" / "run.pt", tmp_path / "mini.onnx"
    common = [
        "train",
        "mini",
        "--data",
        str(data),
        "--out",
        str(checkpoint),
        "--shares",
        "cifar10=0.5,fashion-mnist=0.5",
    ]
    options = ["--backbone", "resnet-tiny", "--steps", "2", "--batch", "16", "--size", "16", "--local-size", "8"]
    assert command.main([*common, *options]) == 0
    assert command.main([*common, "--batch", "8"]) == 1
    assert "was begun with another batch" in capsys.readouterr().err
    shipped = ["export", str(checkpoint), "--onnx", str(model), "--projection-dim", "8", "--data", str(data)]
    assert command.main(shipped) == 0
    (out,) = session(model).run(["cls"], {"pixels": pixels(3)})
    assert out.shape == (3, 8)
    scores = {
        "models": [
            {"name": n, "rows": [{"what": "k-NN", "text": t}]} for n, t in (("mini", "0.9"), ("raw pixels", "0.8"))
        ]
    }
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    cards = ["card", f"mini={checkpoint}", "--scores", str(tmp_path / "scores.json"), "--weights", str(tmp_path)]
    assert command.main([*cards, "--out", str(tmp_path / "CARD.md")]) == 0
    text = (tmp_path / "CARD.md").read_text()
    for part in ("no labels and no test images", "## mini", "| k-NN | 0.9 | 0.8 |", "| CIFAR-10 |", "MIT (Zalando SE)"):
        assert part in text
    assert "| nan" not in text


def test_the_command_begins_with_an_exported_file_and_ends_early(data, trained, tmp_path, capsys):
    export.export(trained["resnet-tiny"], tmp_path / "m.onnx", name="m")
    out = tmp_path / "run.pt"
    common = ["train", "mini", "--data", str(data), "--out", str(out), "--shares", "cifar10=1"]
    small = ["--backbone", "resnet-tiny", "--batch", "8", "--size", "16", "--local-size", "8", "--steps", "5000"]
    how = ["--arithmetic", "float32,channels-first", "--pause-after", "0.5"]
    assert command.main([*common, "--cool-down"]) == 1
    assert "--cool-down ends a run that was begun" in capsys.readouterr().err
    assert command.main([*common, *small, *how, "--start", str(tmp_path / "m.onnx")]) == 0
    assert "paused" in capsys.readouterr().out
    done = train.Run.load(out)
    assert str(done.arithmetic) == "float32,channels-first"
    assert command.main([*common, "--cool-down"]) == 0
    assert "finished" in capsys.readouterr().out
    assert train.Run.load(out).step == math.ceil(done.step / 0.9 - 1e-6)
    with pytest.raises(SystemExit):
        command.main([*common, "--arithmetic", "float8"])
    assert "unknown arithmetic float8" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["mini", "mini-fashion"])
def test_a_length_in_minutes_takes_the_place_of_one_in_steps(recipe, data, tmp_path, capsys):
    out = tmp_path / "run.pt"
    common = ["train", recipe, "--data", str(data), "--out", str(out), "--shares", "cifar10=1"]
    small = ["--backbone", "resnet-tiny", "--batch", "8", "--size", "16", "--local-size", "8", "--minutes", "0.002"]
    assert command.main([*common, *small]) == 0
    assert "finished" in capsys.readouterr().out
    run = train.Run.load(out)
    assert (run.recipe.steps, run.recipe.minutes) == (0, 0.002)
    assert run.seconds >= 0.12
    assert command.main([*common, *small]) == 0  # the same command again
    assert command.main([*common, *small, "--steps", "3"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "none.pt", "--onnx", "m.onnx"], "no checkpoint none.pt: make one with"),
        (["train", "mini", "--out", "none.pt", "--shares", "imagenet=1"], "unknown set 'imagenet': expected one of"),
        (["train", "mini", "--out", "none.pt", "--shares", "cifar10"], "--shares must look like"),
        (["train", "mini", "--out", "none.pt", "--data", "nowhere"], "no file cifar10-train"),
        (["card", "maxi=none.pt", "--out", "CARD.md"], "expected NAME=CHECKPOINT"),
    ],
)
def test_errors_are_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_checkpoint(tmp_path, capsys):
    (tmp_path / "text.pt").write_text("not a checkpoint")
    assert command.main(["export", str(tmp_path / "text.pt"), "--onnx", str(tmp_path / "m.onnx")]) == 1
    assert "is no checkpoint of pretraining" in capsys.readouterr().err


def test_a_reading_without_agreement_leaves_its_cell_empty(trained):
    run = trained["resnet-tiny"]
    assert math.isnan(run.history[-1]["agreement"])
    assert "nan" not in "".join(card._history(run))
