"""What a step of pretraining consists of: images, their views, the arithmetic, the losses."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.pretraining.common import RECIPE, arithmetic, augment, fit, images, losses, monitor, sets, torch, train

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
    fit(replace(RECIPE, steps=12), [colour], tmp_path / "run.pt")
    assert len(seen) > 150
    assert not seen & kept


def test_grey_images_are_read_from_idx_files(data):
    grey = images.load("fashion-mnist", data)
    assert (grey.images.shape, grey.held_out.shape) == ((58, 1, 28, 28), (2, 1, 28, 28))
    assert grey.images.dtype == torch.uint8
    assert grey.held_out_labels.tolist() == [58 % 4, 59 % 4]
    assert len(images.load("fashion-mnist", data, limit=30).images) == 29


def test_large_images_are_reduced_as_they_are_looked_at(data, colour):
    small = images.load("cifar10", data, largest=16)
    assert torch.equal(small.labels, colour.labels)
    half = torch.nn.functional.interpolate(
        colour.images.float(), (16, 16), mode="bilinear", antialias=True, align_corners=False
    )
    assert small.images.dtype == torch.uint8
    assert (small.images - half).abs().max() <= 1
    assert torch.equal(images.load("cifar10", data, largest=64).images, colour.images)


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
    out = augment.composed(batch, torch.ones(40, dtype=torch.bool))
    assert torch.equal(out[:, :, 12:20, 12:20], batch[:, :, 12:20, 12:20])
    corners = out[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.equal(corners, corners[:, :1, :1].expand_as(corners))  # one ground each
    assert (corners[:, 0, 0] != batch[:, 0, 0, 0]).float().mean() > 0.9
    assert torch.equal(augment.composed(batch, torch.zeros(40, dtype=torch.bool)), batch)
    half = torch.arange(40) % 2 == 0
    changed = (augment.composed(batch, half) != batch).flatten(1).any(1)
    assert not changed[~half].any()
    assert changed[half].float().mean() > 0.9
    assert 0.2 < train._chosen(batch.repeat(25, 1, 1, 1), 0.3).float().mean() < 0.4
    assert batch.unique().tolist() == list(range(0, 240, 6))  # untouched itself


def test_a_grey_picture_is_put_on_a_photograph_where_it_is_not_black():
    torch.manual_seed(0)
    grey = torch.zeros(8, 1, 28, 28, dtype=torch.uint8)
    grey[:, :, 8:20, 8:20] = 200
    blue = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    blue[:, 2] = 250
    out = augment.composed(grey, torch.ones(8, dtype=torch.bool), blue)
    assert out.shape == (8, 3, 28, 28)
    assert (out[:, :, :8] == torch.tensor([0, 0, 250]).view(1, 3, 1, 1)).all()
    thing = out[:, :, 8:20, 8:20]
    assert thing.flatten(2).unique(dim=2).shape[2] <= 8  # one colour a picture
    assert thing.min() >= 0.4 * 200 - 1
    assert len(thing[:, 0, 0, 0].unique()) > 4
    assert torch.equal(augment.composed(grey, torch.ones(8, dtype=torch.bool)), grey)  # no photograph at hand


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
    times |= {
        "bfloat16,channels-first": 9,
        "float32,channels-last,winograd": 1.8,
        "float32,channels-last,columns,winograd": 1.5,
    }
    step, clock, asked = scripted({f"{way},threads=1": seconds for way, seconds in times.items()})
    lines: list[str] = []
    state = torch.get_rng_state()
    best = arithmetic.choose(torch.device("cpu"), step, lines.append, clock)
    assert best == arithmetic.Arithmetic(columns=True, winograd=True, threads=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(lines) == 1
    assert lines[0].startswith(f"arithmetic: {best} (tried: ")
    assert "bfloat16,channels-first,threads=1 9000 ms" in lines[0]
    # what takes more than twice the best time is not asked again
    assert [asked.count(f"{way},threads=1") for way in times] == [3, 3, 3, 1, 3, 3]


def test_bfloat16_that_the_processor_imitates_is_tried_once():
    times = {"float32,channels-last": 4, "float32,channels-first": 5, "bfloat16,channels-last": 60}
    times |= {"float32,channels-last,winograd": 6, "float32,channels-last,columns": 6}
    step, clock, asked = scripted({f"{way},threads=1": seconds for way, seconds in times.items()})
    assert (
        str(arithmetic.choose(torch.device("cpu"), step, lambda line: None, clock)) == "float32,channels-last,threads=1"
    )
    assert [asked.count(f"{way},threads=1") for way in times] == [3, 3, 1, 3, 3]
    assert not any("bfloat16,channels-first" in way for way in asked)


def test_fewer_threads_are_tried_with_the_best_of_the_rest():
    torch.set_num_threads(2)
    try:
        ways = [f"{a},{b}" for a in ("float32", "bfloat16") for b in ("channels-last", "channels-first")]
        times = {f"{way},threads=2": 5.0 + number for number, way in enumerate(ways)}
        times |= {"float32,channels-last,columns,threads=2": 6.0, "float32,channels-last,threads=1": 4.0}
        times["float32,channels-last,winograd,threads=2"] = 6.5
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


@pytest.mark.parametrize(
    "way", ["float32,channels-last", "bfloat16,channels-first,columns", "float32,winograd,threads=2"]
)
def test_a_way_is_read_as_it_is_written(way):
    read = arithmetic.Arithmetic.parse(way)
    assert arithmetic.Arithmetic.parse(str(read)) == read
    assert set(way.split(",")) <= set(str(read).split(","))


@pytest.mark.parametrize("way", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("shape", "used"), [((4, 4), True), ((6, 3), True), ((8, 4), True), ((5, 4), False), ((16, 16), False)]
)
def test_winograd_computes_the_convolution_and_its_gradients(way, shape, used):
    torch.manual_seed(0)
    layer = arithmetic.Convolution(5, 7, 3, 1, 1, bias=False)
    x = torch.randn(3, 5, *shape, requires_grad=True)
    found = []
    for winograd in (False, True):
        layer.winograd = winograd
        with torch.autocast("cpu", torch.bfloat16, enabled=winograd and way == "bfloat16"):
            out = layer(x)
        assert ("Winograd" in out.grad_fn.name()) == (winograd and used)
        found.append((out, *torch.autograd.grad((out.float() * out.detach().cos()).sum(), [x, layer.weight])))
    if used or way == "float32":  # it stays in float32 where other products are rounded
        for usual, ours in zip(*found, strict=True):
            torch.testing.assert_close(ours, usual, rtol=1e-4, atol=1e-4)
    with torch.no_grad():  # what is not trained is computed as it will be used
        assert torch.equal(layer(x), torch.nn.functional.conv2d(x, layer.weight, padding=1))


@pytest.mark.parametrize("shape", [(4, 4, 3, 1), (4, 4, 3, 2), (8, 8, 4, 2), (4, 4, 1, 1)])
def test_winograd_leaves_strides_and_other_filters_to_the_library(shape):
    height, width, kernel, stride = shape
    layer = arithmetic.Convolution(2, 3, kernel, stride, 1, bias=False)
    layer.winograd = True
    name = layer(torch.randn(1, 2, height, width)).grad_fn.name()
    assert ("Winograd" in name) == (kernel == 3 and stride == 1)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("stride", "kernel", "shape"), [(1, 3, (3, 4)), (2, 3, (6, 6)), (2, 4, (7, 5))])
def test_the_gradient_by_columns_is_the_gradient(bfloat16, stride, kernel, shape):
    torch.manual_seed(0)
    layer = arithmetic.Convolution(5, 96, kernel, stride, 1, bias=False)
    x = torch.randn(3, 5, *shape, requires_grad=True)
    found = []
    for columns, rounded in ((False, False), (False, bfloat16), (True, bfloat16)):
        layer.columns = columns
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            out = layer(x)
        assert ("ByColumns" in out.grad_fn.name()) == columns
        found.append((out.float(), *torch.autograd.grad(out.float().square().sum(), [x, layer.weight])))
    for exact, usual, ours in zip(*found, strict=True):
        if (
            bfloat16
        ):  # each processor rounds single numbers otherwise: what counts is how far all are from the exact ones
            off, usually_off = (torch.linalg.norm(each - exact) / torch.linalg.norm(exact) for each in (ours, usual))
            assert off < 1e-2
            assert off < 1.5 * usually_off + 1e-4
        else:
            torch.testing.assert_close(ours, usual, rtol=1e-4, atol=1e-4)


# Losses


def test_coding_rate_is_the_log_determinant():
    z = np.random.default_rng(0).normal(size=(24, 10))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    m, p, eps = 24, 10, 0.05
    half = 0.5 * np.linalg.slogdet(np.eye(p) + p / (m * eps) * z.T @ z)[1]
    assert float(losses.coding_rate(torch.from_numpy(z))) == pytest.approx((p + m) / (p * m) * half, rel=1e-5)


def test_emp_ssl_compares_every_view_with_their_mean():
    z = torch.nn.functional.normalize(torch.randn(5, 12, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    mean = z.numpy().mean(0)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    agreement = float(np.mean([(view * mean).sum(1).mean() for view in z.numpy()]))
    # 1/2 logdet(I + p / (m eps) z'z) of every view's batch with eps 0.2, times (p + m) / (p m)
    halves = [np.linalg.slogdet(np.eye(8) + 8 / (12 * 0.2) * view.T @ view)[1] / 2 for view in z.numpy()]
    loss, told = losses.EmpSslLoss(0.3)(z, z[:0])
    assert told == pytest.approx(agreement, rel=1e-5)
    assert float(loss) == pytest.approx(-agreement - 0.3 * np.mean(halves) * 20 / 96, rel=1e-5)


@pytest.mark.parametrize(("loss", "sides"), [("simdino", [16, 16, 8, 8]), ("emp-ssl", [8, 8])])
def test_views_of_each_loss(loss, sides, colour):
    run = train.Run(replace(RECIPE, loss=loss, composed=1.0))
    batch = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    batch[0] = 200  # what no other image holds is on it alone, or in its surroundings
    views = train._views(run, [batch])
    assert [view.shape[-1] for (view,) in views] == sides
    local = torch.cat([train._views(run, [batch])[-1][0] for _ in range(20)])
    mixed = bool((local.amin((1, 2, 3)) + 0.3 < local.amax((1, 2, 3))).any())
    assert mixed == (loss == "emp-ssl")  # local views of SimDINO are of the image as it is


def test_all_crops_of_an_image_have_other_surroundings_or_none():
    run = train.Run(replace(RECIPE, loss="emp-ssl", composed=0.5, local_views=30, local_scale=(1.0, 1.0), jitter=0.0))
    levels = (torch.arange(32, dtype=torch.uint8) * 6).view(32, 1, 1, 1).expand(-1, 3, 32, 32)
    whole = torch.stack([view for (view,) in train._views(run, [levels])])
    others = ((whole[:, :, :, 0, 0] - whole[:, :, :, 4, 4]).abs() > 0.01).any(2).float().mean(0)  # (32,), of 30 views
    assert 8 < int((others > 0.8).sum()) < 24
    assert int((others > 0.8).sum() + (others == 0).sum()) == 32


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
