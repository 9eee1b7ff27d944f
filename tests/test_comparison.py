import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from dinoscope.cli.collect.compare import compare
from dinoscope.collection import Collection
from dinoscope.comparison import _find_again, compare_models, focus_gains
from dinoscope.errors import DinoscopeError, InputError
from dinoscope.models.baselines import PixelEncoder, UntrainedEncoder
from dinoscope.plots.ranking import comparison_figure
from dinoscope.sources.array import ArraySource
from dinoscope.sources.opening import open_source
from dinoscope.sources.selection import select
from tests.checkpoints import save_vit

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(compare)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    """Measure speed by one batch."""
    monkeypatch.setattr("dinoscope.comparison._RATE_SECONDS", 0)


@pytest.fixture(scope="module")
def fashion():
    return open_source("fashion-mnist-test", limit=400)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(save_vit(tmp_path_factory.mktemp("weights") / "tiny-vit"))


def test_a_trained_model_beats_the_baselines(fashion):
    found = compare_models(fashion, ["mini-fashion"], sample=300)
    assert [each.name for each in found.contenders] == ["mini-fashion", "pixels", "untrained"]
    assert [each.baseline for each in found.contenders] == [False, True, True]
    trained, pixels, untrained = (each.scores.knn_accuracy for each in found.contenders)
    assert trained > pixels > 0.4
    assert trained > untrained + 0.05
    assert (found.images, found.labels, found.left_out) == (300, 10, ())
    assert all(each.images_per_second > 0 for each in found.contenders)
    assert found.contenders[0].found_again > max(each.found_again for each in found.contenders[1:]) + 0.2


def test_every_setting_of_a_model_that_takes_several(fashion, weights):
    found = compare_models(
        fashion, [weights], resolutions=[16, 32], poolings=["cls", "cls+mean"], sample=40, device="cpu"
    )
    names = [each.name for each in found.contenders]
    assert names == [
        "tiny-vit 16px",
        "tiny-vit 16px cls+mean",
        "tiny-vit 32px",
        "tiny-vit 32px cls+mean",
        "pixels",
        "untrained",
    ]
    assert [each.dim for each in found.contenders[:2]] == [64, 128]


def test_what_does_not_load_is_left_out_and_the_rest_goes_on(fashion, weights, tmp_path):
    broken = str(tmp_path / "broken.onnx")
    Path(broken).write_bytes(b"no graph")
    found = compare_models(fashion, ["mini-fashion", broken, weights], resolutions=[30, 32], sample=30, device="cpu")
    assert [each.name for each in found.contenders] == ["mini-fashion", "tiny-vit 32px", "pixels", "untrained"]
    assert [name for name, _ in found.left_out] == [broken, "tiny-vit 30px"]
    assert "multiple of the model's patch" in found.left_out[1][1]
    with pytest.raises(DinoscopeError, match=r"broken\.onnx"):
        compare_models(fashion, [broken], sample=30)


def test_what_cannot_be_is_told_before_anything_is_embedded(fashion, monkeypatch):
    monkeypatch.setattr("dinoscope.comparison.embed_source", None)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"resolutions": [0]}, "a resolution must be at least 1 pixel, got 0"),
        ({"poolings": ["cls", "foo"]}, "pooling must be one of cls, cls"),
        ({"models": []}, "no model is named"),
        ({"models": ["nonsense", "nothing"]}, "unknown model 'nonsense'"),
        ({"models": ["mini-fashion", "nonsense"]}, "unknown model 'nonsense'"),
        ({"models": ["mini-fashion", "./nothing.onnx"]}, "no weights at './nothing.onnx'"),
    )
    for settings, message in cases:
        with pytest.raises(DinoscopeError, match=message):
            compare_models(fashion, **{"models": ["mini-fashion"], **settings})


def test_a_bundled_model_takes_each_pooling_and_its_own_resolution(fashion):
    found = compare_models(fashion, ["mini-fashion"], resolutions=[64], poolings=["cls", "cls+mean"], sample=30)
    assert [each.name for each in found.contenders[:2]] == ["mini-fashion", "mini-fashion cls+mean"]


def test_a_focus_on_the_foreground_is_weighed(fashion):
    found = compare_models(fashion, ["mini-fashion"], focuses=["image", "foreground"], sample=30)
    accuracy = {each.name: each.scores.knn_accuracy for each in found.contenders}
    assert list(accuracy)[:2] == ["mini-fashion", "mini-fashion foreground"]
    (gain,) = focus_gains(found.contenders)
    assert gain == ("mini-fashion", accuracy["mini-fashion"], accuracy["mini-fashion foreground"])
    assert focus_gains(found.contenders[1:]) == []
    with pytest.raises(InputError, match="focus must be one of image, foreground, got 'ground'"):
        compare_models(fashion, ["mini-fashion"], focuses=["ground"])


def test_a_bundled_model_takes_resolutions_for_its_foreground_alone(fashion):
    found = compare_models(fashion, ["mini-fashion"], resolutions=[64, 128], focuses=["image", "foreground"], sample=30)
    names = ["mini-fashion", "mini-fashion 64px foreground", "mini-fashion 128px foreground"]
    assert [each.name for each in found.contenders] == [*names, "pixels", "untrained"]


def test_the_command_says_whether_a_focus_helps(run, monkeypatch):
    monkeypatch.setattr("dinoscope.comparison._RATE_SECONDS", 0)
    settings = ("--models", "mini-fashion", "--focus", "image,foreground", "--sample", 20)
    code, out, _ = run("compare", "fashion-mnist-test", *settings)
    assert code == 0
    said = " ".join(out.split())
    told = re.search(
        r"A focus on the foreground (helps|does not help) mini-fashion: .* (0\.\d+) instead of (0\.\d+)\.", said
    )
    assert told
    assert (told[1] == "helps") == (float(told[2]) > float(told[3]))


def test_too_few_images():
    with pytest.raises(InputError, match="at least 3 images"):
        compare_models(ArraySource(np.zeros((2, 8, 8), np.uint8)), ["mini-fashion"])


def test_no_labels(monkeypatch):
    monkeypatch.setattr("dinoscope.comparison._CHANGED", 5)
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    found = compare_models(ArraySource(images), ["mini-fashion", "mini-fashion"])
    assert len(found.contenders) == 3  # once, and the baselines
    assert np.isnan([each.scores.knn_accuracy for each in found.contenders]).all()
    assert all(each.found_again * 5 == pytest.approx(round(each.found_again * 5)) for each in found.contenders)


def test_files_that_cannot_be_read_are_not_looked_for(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    found = compare_models(open_source(tmp_path), ["mini"])
    assert found.images == 5
    assert 0 <= found.contenders[0].found_again <= 1


def test_none_of_the_images_to_change_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("dinoscope.comparison._CHANGED", 1)
    for number in range(5):
        Image.fromarray(np.full((20, 30, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
    drawn = int(np.random.default_rng(0).permutation(5)[0])
    (tmp_path / f"{drawn}.png").write_bytes(b"no image")
    found = compare_models(open_source(tmp_path), ["mini"])
    assert np.isnan([each.found_again for each in found.contenders]).all()


def test_an_image_that_can_be_read_only_later_is_not_looked_for(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 8), dtype=np.uint8)
    encoder: Any = PixelEncoder()
    first = Collection.from_images(images[:5], tmp_path / "first", model=encoder)
    assert 0 <= _find_again(first, ArraySource(images), encoder, tmp_path / "changed", 0, None) <= 1
    late = select(ArraySource(images), [5])
    assert np.isnan(_find_again(first, late, encoder, tmp_path / "late", 0, None))


def test_baselines_give_unit_vectors_also_of_black():
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    pixels[1] = 200
    for encoder in (PixelEncoder(), UntrainedEncoder()):
        np.testing.assert_allclose(np.linalg.norm(encoder.run(pixels), axis=1), 1, atol=1e-5)
    random = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(UntrainedEncoder(seed=1).run(random), UntrainedEncoder(seed=1).run(random))
    assert not np.allclose(UntrainedEncoder(seed=1).run(random), UntrainedEncoder(seed=2).run(random), atol=1e-3)


def test_command(tmp_path):
    picture = tmp_path / "compare.png"
    run = CliRunner().invoke(
        app,
        ["fashion-mnist-test", "--models", "mini-fashion", "--sample", "60", "-o", str(picture), "--json"],
        catch_exceptions=False,
    )
    result = json.loads(run.stdout)
    assert [row["model"] for row in result["contenders"]] == ["mini-fashion", "pixels", "untrained"]
    assert result["advice"].startswith(("Take mini-fashion", "No model beats"))
    assert sorted(row["place_without_labels"] for row in result["contenders"]) == [1, 2, 3]
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 1000
    table = tmp_path / "compare.csv"
    run = CliRunner().invoke(
        app,
        ["fashion-mnist-test", "--models", "mini-fashion", "--sample", "30", "-o", str(table)],
        catch_exceptions=False,
    )
    assert "30 images." in run.stdout
    assert "The order without labels agrees" in run.stderr
    assert table.read_text().startswith("model,knn_accuracy,")


def test_a_picture_that_cannot_be_written_costs_no_result(tmp_path):
    (tmp_path / "file").touch()
    output = str(tmp_path / "file" / "x.png")
    run = CliRunner().invoke(app, ["fashion-mnist-test", "--models", "mini-fashion", "--sample", "30", "-o", output])
    assert "cannot write" in str(run.exception)
    assert "30 images." in run.stdout


def test_command_without_labels(tmp_path):
    pixels = tmp_path / "pixels.npy"
    np.save(pixels, np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8))
    run = CliRunner().invoke(app, [str(pixels), "--models", "mini-fashion"], catch_exceptions=False)
    assert "found again" in run.stdout
    assert "k-NN" not in run.stdout.splitlines()[0]
    assert "On three labelled sets this order agreed" in run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.txt"], "cannot write 'x.txt'"),
        (["--resolution", "big"], "--resolution takes numbers"),
        (["--models", "mini,nonsens"], "unknown model 'nonsens'"),
    ],
)
def test_command_with_bad_input(options, message):
    run = CliRunner().invoke(app, ["fashion-mnist-test", "--sample", "5", *options])
    assert message in str(run.exception)


def test_a_picture_of_nothing():
    with pytest.raises(InputError, match="nothing to draw"):
        comparison_figure([])
