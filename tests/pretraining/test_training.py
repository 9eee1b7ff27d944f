"""Pretraining learns, does not collapse, and resumes exactly."""

import copy
import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.pretraining.common import QUIET, RECIPE, arithmetic, augment, fit, monitor, torch, train

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


@pytest.mark.parametrize("loss", ["simdino", "dino", "emp-ssl"])
def test_training_learns_and_does_not_collapse(loss, colour, tmp_path):
    recipe = replace(RECIPE, loss=loss, local_size=16 if loss == "emp-ssl" else 8)
    before, after = train.Run(recipe), fit(recipe, [colour], tmp_path / "run.pt")
    fixed = colour.held_out[:48]
    assert margin(after, fixed) > 1.4 * margin(before, fixed) > 0.01
    assert monitor.effective_rank(monitor.features(after.teacher["backbone"], colour.images, 16)) > 5
    assert after.seen == recipe.steps * 32
    assert after.history[-1]["cifar10"].keys() == {"knn", "rank"}


@pytest.mark.parametrize(
    "way", ["float32,channels-last", "bfloat16,channels-first,columns,threads=1", "float32,channels-last,winograd"]
)
def test_a_killed_run_resumes_to_the_same_bits(way, colour, tmp_path):
    recipe, how = replace(RECIPE, steps=7, batch=8, composed=0.3), arithmetic.Arithmetic.parse(way)
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


def test_local_views_of_two_kinds():
    recipe = replace(
        RECIPE,
        loss="emp-ssl",
        local_size=16,
        local_views=2,
        local_scale=(0.3, 1.0),
        small_views=3,
        small_size=8,
        small_scale=(0.1, 0.3),
        hue=18.0,
    )
    assert [(view.size, view.scale, view.hue) for view in recipe.locals] == [
        (16, (0.3, 1.0), 18.0),
        (16, (0.3, 1.0), 18.0),
        *[(8, (0.1, 0.3), 18.0)] * 3,
    ]
    photographs = torch.randint(256, (4, 3, 20, 20), dtype=torch.uint8)
    views = train._views(train.Run(recipe), [photographs])
    assert [each.shape for view in views for each in view] == [(4, 3, 16, 16)] * 2 + [(4, 3, 8, 8)] * 3


def test_a_reading_measures_the_teachers_own_statistics(colour, tmp_path):
    run = fit(replace(RECIPE, steps=6), [colour], tmp_path / "run.pt")
    backbone = run.teacher["backbone"]
    convolution, norm = next(
        (a, b) for a, b in itertools.pairwise(backbone.modules()) if isinstance(b, torch.nn.BatchNorm2d)
    )
    seen = []
    hook = convolution.register_forward_hook(lambda _, __, out: seen.append(out))
    state = torch.get_rng_state()
    train._measure_statistics(run, [(colour.images, RECIPE.batch)])
    hook.remove()
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(each) for each in seen] == [RECIPE.batch] * (4000 // RECIPE.batch + 1)
    means = torch.stack([each.mean((0, 2, 3)) for each in seen]).mean(0)
    np.testing.assert_allclose(norm.running_mean, means.numpy(), rtol=0, atol=1e-5)
    variances = torch.stack([each.transpose(0, 1).flatten(1).var(1) for each in seen]).mean(0)
    np.testing.assert_allclose(norm.running_var, variances.numpy(), rtol=1e-4, atol=1e-6)
    assert norm.momentum == 0.1
    # those of the student are others
    assert not torch.allclose(norm.running_mean, run.student["backbone"].stages[0][1].running_mean, atol=1e-4)


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
        ({"loss": "ibot"}, "unknown loss 'ibot': expected one of simdino, dino, emp-ssl"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **changes)
