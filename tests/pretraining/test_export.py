"""What was trained is exported faithfully, read back, and described; the command line."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tests.pretraining.common import (
    RECIPE,
    SHAPES,
    augment,
    card,
    command,
    draw,
    export,
    fit,
    networks,
    projection,
    restore,
    torch,
    train,
)

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
        projections = projection.fit_projections(run, [colour], 8)
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


@pytest.mark.parametrize("backbone", ["resnet-tiny", "resnet-tiny-strided"])
def test_an_exported_file_is_read_back(backbone, trained, colour, tmp_path):
    run = trained[backbone]
    for precision in ("float32", "float16"):
        first, second = tmp_path / f"{precision}.onnx", tmp_path / f"{precision}-again.onnx"
        export.export(
            run, first, name="m", precision=precision, projections=projection.fit_projections(run, [colour], 8)
        )
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
    views = augment.random_views(colour.images[:128], RECIPE.global_view)
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
    for name, message in (("vit", "holds a vit-tiny: only a ResNet"), ("text", "is not a file that 'python -m pretr")):
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
        (["train", "mini", "--out", "none.pt", "--data", "nowhere"], "no file tiny-imagenet-train"),
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
    assert "is not a checkpoint of pretraining" in capsys.readouterr().err


def test_a_reading_without_agreement_leaves_its_cell_empty(trained):
    run = trained["resnet-tiny"]
    assert math.isnan(run.history[-1]["agreement"])
    assert "nan" not in "".join(card._history(run))
