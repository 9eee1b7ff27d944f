"""The linear layer behind the network: what it keeps, how it weighs parts, what it plays down."""

import numpy as np
import pytest

from tests.pretraining.common import command, export, networks, projection, torch

fit_projection = projection.fit_projection


def test_projection_is_pca_with_partial_whitening():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(4000, 5)) * [8, 4, 2, 1, 0.5] + 3).astype(np.float32)
    for whiten, ratio in ((0.0, 4.0), (0.5, 2.0), (1.0, 1.0)):
        layer = fit_projection(vectors, 3, whiten)
        out = (vectors - layer.offset) @ layer.matrix
        np.testing.assert_allclose(out.mean(0), 0, atol=1e-3)
        correlation = np.corrcoef(out.T)
        np.testing.assert_allclose(correlation, np.eye(3), atol=1e-3)
        assert out[:, 0].std() / out[:, 2].std() == pytest.approx(ratio, rel=0.1)
    with pytest.raises(ValueError, match=r"dimension must be 1\.\.5, got 6"):
        fit_projection(vectors, 6)
    with pytest.raises(ValueError, match=r"whiten must be 0\.\.1, got 2"):
        fit_projection(vectors, 2, 2)


def test_parts_are_balanced_before_the_projection():
    rng = np.random.default_rng(0)
    vectors = np.hstack([100 * rng.normal(size=(4000, 3)), 0.01 * rng.normal(size=(4000, 2))]) + 5
    layer = fit_projection(vectors, 5, 0, parts=((3, 2.0), (2, 1.0)))
    out = (vectors - layer.offset) @ layer.matrix
    # total variance 4 over three directions, and 1 over two
    np.testing.assert_allclose(np.sort(out.var(0)), [0.5, 0.5, 4 / 3, 4 / 3, 4 / 3], rtol=0.1)
    with pytest.raises(ValueError, match="the parts must have 5 numbers together, got 4"):
        fit_projection(vectors, 2, parts=((3, 1.0), (1, 1.0)))


def test_what_changes_between_views_is_played_down():
    rng = np.random.default_rng(0)
    said = rng.normal(size=(4000, 4)) * [1, 1, 1, 0.01]
    light = 3 * rng.normal(size=(4000, 1))  # says nothing about the image, and is the strongest
    mixed, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    vectors = np.hstack([said, light]) @ mixed + 2
    changes = np.hstack([0.1 * rng.normal(size=(4000, 4)), 3 * rng.normal(size=(4000, 1))]) @ mixed

    def share_of_light(layer):
        one, other = ((each @ mixed) @ layer.matrix for each in (np.eye(5)[4], np.eye(5)[0]))
        return np.linalg.norm(one) / np.linalg.norm(other)

    alone, steady = (fit_projection(vectors, 3, 0, changes=each) for each in (None, changes))
    assert share_of_light(alone) > 0.9
    assert share_of_light(steady) < 0.1
    np.testing.assert_allclose(((vectors - steady.offset) @ steady.matrix).mean(0), 0, atol=1e-3)
    with pytest.raises(ValueError, match=r"the changes must have shape \(M, 5\), got \(4000, 4\)"):
        fit_projection(vectors, 3, changes=changes[:, :4])


@pytest.mark.parametrize("side", [1, 4, 7])
def test_spread_is_the_deviation_over_places(side):
    maps = torch.rand(3, 5, side, side + 1)
    np.testing.assert_allclose(networks.spread(maps), maps.numpy().std((2, 3)), atol=1e-6)
    assert not networks.spread(maps[:, :, :1, :1]).any()


def test_views_differ_less_after_a_steady_projection(trained, colour):
    run = trained["resnet-tiny-strided"]
    before = torch.get_rng_state()
    fitted = [projection.fit_projections(run, [colour], 8, 0.25, steady=each) for each in (False, True, True)]
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(fitted[1].image.matrix, fitted[2].image.matrix)
    np.testing.assert_array_equal(fitted[0].patches.matrix, fitted[1].patches.matrix)
    half = projection.fit_projections(run, [colour], 8, 0.5)
    np.testing.assert_array_equal(half.patches.matrix, fitted[0].patches.matrix)
    assert not np.array_equal(half.image.matrix, fitted[0].image.matrix)
    net, images = run.teacher["backbone"].eval(), colour.held_out[:40]
    torch.manual_seed(7)
    with torch.no_grad():
        views = [net.features(projection.random_views(images, run.recipe.global_view)).numpy() for _ in range(2)]

    def found(layer):
        one, other = ((each - layer.offset) @ layer.matrix for each in views)
        one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, other))
        between = one @ other.T
        return (between.diagonal() - between.mean(1)).mean() / between.std()

    assert found(fitted[1].image) > found(fitted[0].image)


def test_the_command_fits_a_steady_projection(trained, data, tmp_path, capsys):
    first, second = tmp_path / "m.onnx", tmp_path / "again.onnx"
    export.export(trained["resnet-tiny-strided"], first, name="m")
    common = ["export", str(first), "--onnx", str(second), "--steady", "--data", str(data)]
    assert command.main(common) == 1
    assert "--steady changes how the projection is fitted: give its --projection-dim too" in capsys.readouterr().err
    assert command.main([*common, "--projection-dim", "8"]) == 0
    steady = second.read_bytes()
    assert command.main([each for each in [*common, "--projection-dim", "8"] if each != "--steady"]) == 0
    assert second.read_bytes() != steady
