"""The network of the diffusion model: samples stay apart, frames meet, and slots count in the last layer only."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from fixtures.random_weights import numbers

from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.sizes import VidmSizes
from ego_perception.hand_removal.vidm.unet import FrameUNet
from ego_perception.nn.frames import FrameJoin

TIMES = torch.tensor([10, 700])
LEAST = VidmSizes(width=32, multipliers=(1, 2), blocks=1, attention=(), first_stage_widths=(32, 32, 32), codes=16)


@pytest.fixture(name="unet")
def unet_(tiny: Vidm) -> FrameUNet:
    return tiny.unet


def inputs(count: int = 2, frames: int = 4, height: int = 8, width: int = 8) -> torch.Tensor:
    return numbers("unet.x", (count, frames, 7, height, width))


@torch.no_grad()
def test_samples_of_a_batch_do_not_see_each_other(unet: FrameUNet) -> None:
    x = inputs()
    both = unet(x, TIMES)
    for k in range(2):
        torch.testing.assert_close(unet(x[k : k + 1], TIMES[k : k + 1]), both[k : k + 1], atol=2e-5, rtol=0)
    torch.testing.assert_close(unet(x.flip(0), TIMES.flip(0)), both.flip(0), atol=2e-5, rtol=0)


@torch.no_grad()
def test_every_frame_and_the_time_count(unet: FrameUNet) -> None:
    x = inputs(1)
    plain = unet(x, TIMES[:1])
    assert float((unet(x, TIMES[1:]) - plain).abs().max()) > 1e-3
    for frame in range(4):
        other = x.clone()
        other[:, frame] += 0.5
        assert float((unet(other, TIMES[:1]) - plain).abs().max()) > 1e-4, frame


@torch.no_grad()
def test_frames_may_change_places_with_their_weights_in_the_last_layer(unet: FrameUNet) -> None:
    order = [2, 0, 3, 1]
    moved = copy.deepcopy(unet)
    assert isinstance(moved.join, FrameJoin) and isinstance(unet.join, FrameJoin)
    weight = unet.join.weight.unflatten(1, (4, -1))
    moved.join.weight.copy_(weight[:, order].flatten(1, 2))
    x = inputs()
    torch.testing.assert_close(moved(x[:, order], TIMES), unet(x, TIMES), atol=5e-5, rtol=0)
    assert float((unet(x[:, order], TIMES) - unet(x, TIMES)).abs().max()) > 1e-3, "without them they may not"


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 16), (16, 8)])
@pytest.mark.parametrize("frames", [1, 2, 4])
@torch.no_grad()
def test_the_noise_is_of_one_frame_whatever_their_number_and_size(frames: int, height: int, width: int) -> None:
    net = FrameUNet(replace(LEAST, frames=frames)).eval()
    assert net(inputs(2, frames, height, width), TIMES).shape == (2, 3, height, width)


@torch.no_grad()
def test_a_fresh_network_predicts_no_noise() -> None:
    net = FrameUNet(LEAST)
    torch.nn.init.zeros_(net.conv_out.bias)  # type: ignore[arg-type]
    assert not net(inputs(), TIMES).any()


def test_a_fresh_network_can_learn() -> None:
    torch.manual_seed(0)
    net = FrameUNet(LEAST)
    goal = numbers("unet.goal", (2, 3, 8, 8))
    optimiser, losses = torch.optim.Adam(net.parameters(), 3e-3), []
    for _ in range(3):
        loss = (net(inputs(), TIMES) - goal).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize(("changes", "blocks"), [({}, 3), ({"blocks": 2}, 5), ({"multipliers": (1, 2, 2)}, 5)])
def test_the_way_up_takes_every_output_of_the_way_down(changes: dict[str, object], blocks: int) -> None:
    net = FrameUNet(replace(LEAST, **changes))  # type: ignore[arg-type]
    levels, each = len(net.sizes.multipliers), net.sizes.blocks
    assert len(net.input_blocks) == 1 + levels * each + levels - 1
    assert len(net.output_blocks) == levels * (each + 1) == len(net.input_blocks)
    assert len(net.input_blocks) == blocks + 1
