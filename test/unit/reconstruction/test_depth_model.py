"""The depth network: shapes, laws of its input and output, losses with known values, and that it can learn."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from ego_perception.errors import WeightsError
from ego_perception.nn import num_parameters
from ego_perception.reconstruction.losses import depth_losses, gradient_error, laplace_nll, scale_invariant_log_error
from ego_perception.reconstruction.model import LOG_DEPTH_RANGE, DepthNetwork, DepthOutput, standardise
from ego_perception.reconstruction.sizes import NetworkConfig, focal_ratio, network_size

SMALL = NetworkConfig(stem=8, widths=(8, 8, 16, 16), counts=(1, 1, 1, 1), decoder=(16, 16, 8, 8, 8), area=64 * 48)


@pytest.fixture
def network() -> DepthNetwork:
    torch.manual_seed(0)
    return DepthNetwork(SMALL).eval()


def test_default_size_is_within_the_promised_range() -> None:
    assert 0.3e6 < num_parameters(DepthNetwork()) < 3e6


@pytest.mark.parametrize("size", [(48, 64), (72, 96), (80, 144), (40, 40), (65, 47)])
def test_shapes_and_types(network: DepthNetwork, size: tuple[int, int]) -> None:
    output = network(torch.rand(2, 3, *size))
    half = (math.ceil(size[0] / 2), math.ceil(size[1] / 2))
    assert output.log_depth.shape == output.log_depth_scale.shape == (2, *half)
    assert output.log_focal.shape == output.log_focal_scale.shape == (2,)
    assert all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in output)


def test_batch_equals_loop(network: DepthNetwork) -> None:
    images = torch.rand(3, 3, 48, 64)
    together, apart = network(images), [network(image[None]) for image in images]
    for name in DepthOutput._fields:
        assert torch.allclose(getattr(together, name), torch.cat([getattr(o, name) for o in apart]), atol=1e-5)


def test_every_parameter_gets_a_gradient(network: DepthNetwork) -> None:
    network.train()
    losses = depth_losses(network(torch.rand(4, 3, 48, 64)), torch.rand(4, 24, 32), torch.zeros(4))
    losses["total"].backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert silent == []


def test_exposure_and_contrast_do_not_matter(network: DepthNetwork) -> None:
    image = torch.rand(1, 3, 48, 64)
    assert torch.allclose(standardise(image), standardise(0.9 * image + 0.3), atol=0.03)
    difference = (network(image).log_depth - network(0.9 * image + 0.3).log_depth).abs().max()
    assert float(difference.detach()) < 0.05


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_images_give_finite_depth(network: DepthNetwork, value: float) -> None:
    output = network(torch.full((1, 3, 48, 64), value))
    assert all(bool(t.isfinite().all()) for t in output)


def test_depth_stays_in_range(network: DepthNetwork) -> None:
    with torch.no_grad():
        network.depth_head.weight.mul_(1e4)
    output = network(torch.rand(1, 3, 48, 64))
    assert float(output.log_depth.detach().min()) == pytest.approx(LOG_DEPTH_RANGE[0])
    assert float(output.log_depth.detach().max()) == pytest.approx(LOG_DEPTH_RANGE[1])


def test_gains_multiply_the_scales(network: DepthNetwork) -> None:
    image = torch.rand(1, 3, 48, 64)
    before = network(image)
    network.depth_gain.fill_(2.0)
    network.focal_gain.fill_(0.5)
    after = network(image)
    assert torch.allclose(after.log_depth_scale, before.log_depth_scale + math.log(2.0), atol=1e-6)
    assert torch.allclose(after.log_focal_scale, before.log_focal_scale - math.log(2.0), atol=1e-6)
    assert torch.equal(after.log_depth, before.log_depth)


def test_it_overfits_one_batch() -> None:
    """Four pictures whose depth follows from their content are learnt to within a few per cent in 100 steps."""
    torch.manual_seed(0)
    network = DepthNetwork(SMALL).train()
    shade = torch.nn.functional.interpolate(torch.rand(4, 1, 3, 4), (48, 64), mode="bilinear")
    images = torch.cat([shade, 1 - shade, shade * 0.5], dim=1)
    log_depth, log_focal = shade[:, 0, ::2, ::2] * 1.5, torch.tensor([-0.3, 0.0, 0.2, 0.4])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(100):
        losses = depth_losses(network(images), log_depth, log_focal)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
    output = network(images)
    assert float((output.log_depth - log_depth).detach().abs().mean()) < 0.04
    assert float((output.log_focal - log_focal).detach().abs().max()) < 0.1


def test_scale_invariant_error_known_values() -> None:
    assert float(scale_invariant_log_error(torch.zeros(2, 4, 4))) == pytest.approx(1e-3)
    offset = torch.full((2, 4, 4), 0.4)
    assert float(scale_invariant_log_error(offset)) == pytest.approx(0.4 * math.sqrt(0.15), rel=1e-3)


def test_gradient_error_ignores_offsets_and_measures_slopes() -> None:
    assert float(gradient_error(torch.full((1, 16, 16), 3.0))) == 0.0
    ramp = 0.1 * torch.arange(16.0).expand(1, 16, 16)
    assert float(gradient_error(ramp)) == pytest.approx(0.1 * (1 + 2 + 4 + 8))
    assert float(gradient_error(ramp.transpose(1, 2))) == pytest.approx(1.5)


def test_laplace_likelihood_is_best_at_the_mean_absolute_error() -> None:
    error = torch.tensor([0.1, -0.3, 0.2, -0.2])
    values = {s: float(laplace_nll(error, torch.full((4,), math.log(s)))) for s in (0.1, 0.15, 0.2, 0.25, 0.4)}
    assert min(values, key=values.__getitem__) == 0.2


def test_the_scale_head_does_not_move_the_depth() -> None:
    fields = [torch.zeros(1, 16, 16), torch.zeros(1, 16, 16), torch.zeros(1), torch.zeros(1)]
    output = DepthOutput(*(t.requires_grad_() for t in fields))
    depth_losses(output, torch.full((1, 16, 16), 2.0), torch.ones(1))["depth_nll"].backward()
    assert output.log_depth.grad is None
    assert output.log_depth_scale.grad is not None and bool((output.log_depth_scale.grad != 0).all())


@pytest.mark.parametrize(
    ("image", "expected"), [((640, 480), (128, 96)), ((1920, 1080), (144, 80)), ((480, 640), (96, 128)), ((50, 50), (112, 112))]
)
def test_network_size_known_values(image: tuple[int, int], expected: tuple[int, int]) -> None:
    assert network_size(*image, 128 * 96) == expected


@pytest.mark.parametrize("image", [(1, 5000), (5000, 1), (1, 1), (4000, 3000)])
def test_network_size_stays_near_its_area(image: tuple[int, int]) -> None:
    width, height = network_size(*image, 128 * 96)
    assert width % 8 == height % 8 == 0
    assert 0.85 < width * height / (128 * 96) < 1.15


def test_focal_ratio_is_unchanged_by_resizing() -> None:
    assert focal_ratio(585, 585, 640, 480) == pytest.approx(focal_ratio(585 / 4, 585 / 3, 160, 160))
    assert focal_ratio(math.sqrt(640 * 480), math.sqrt(640 * 480), 640, 480) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "change",
    [{"area": 0}, {"area": "x"}, {"widths": [32, 64]}, {"other": 1}, {"counts": [1, 1, 1, True]}, {"stem": 10**9}],
)
def test_bad_sizes_in_a_weight_file(change: dict[str, object]) -> None:
    values = {**dataclasses.asdict(SMALL), **change}
    with pytest.raises(WeightsError, match=r"net\.safetensors declares"):
        NetworkConfig.from_dict(values, Path("net.safetensors"))


def test_sizes_round_trip() -> None:
    values = json.loads(json.dumps(dataclasses.asdict(SMALL)))
    assert NetworkConfig.from_dict(values, Path("x")) == SMALL
