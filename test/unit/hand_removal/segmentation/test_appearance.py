"""Other colours for skin, sleeves and background, and a camera's faults."""

from __future__ import annotations

import pytest
import torch

from ego_perception.hand_removal.segmentation.appearance import (
    beside,
    cloth_colours,
    hand_distance,
    photograph,
    repaint,
    skin_colours,
    tone,
)
from ego_perception.hand_removal.segmentation.sizes import HandClass

COUNT, H, W = 120, 48, 64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(name="scene")
def scene_() -> tuple[torch.Tensor, torch.Tensor]:
    """A grey ramp with a left hand, its arm and a held object."""
    ramp = torch.linspace(0.3, 0.7, W).expand(COUNT, 3, H, W).contiguous()
    labels = torch.zeros(COUNT, H, W, dtype=torch.long)
    labels[:, 10:20, 10:30] = HandClass.LEFT_HAND
    labels[:, 20:, 10:30] = HandClass.LEFT_ARM
    labels[:, 4:10, 10:30] = HandClass.HELD_OBJECT
    return ramp, labels


@pytest.fixture(name="even_skin")
def even_skin_(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skin without grain, so that light and shade alone make differences."""
    monkeypatch.setattr(
        "ego_perception.hand_removal.segmentation.appearance.grain", lambda count, size, _: torch.ones(count, 1, *size)
    )


def test_skin_is_redder_than_blue_and_ranges_from_light_to_dark() -> None:
    colours = skin_colours(500, generator(0))[:, :, 0, 0]
    assert float((colours[:, 0] > colours[:, 2]).float().mean()) > 0.95
    assert float(colours.mean(1).min()) < 0.25 and float(colours.mean(1).max()) > 0.75


@pytest.mark.usefixtures("even_skin")
def test_light_and_shade_stay_and_colours_change(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = scene
    painted = repaint(images, labels, images.flip(3), generator(0))
    hand = painted[:, :, 13:17, 13:27].mean(2)
    assert (hand.diff(dim=2) >= -1e-4).all()  # the ramp rises everywhere, whatever the colour
    is_grey = (hand - hand.mean(1, keepdim=True)).abs().amax((1, 2)) < 0.01
    assert 0.35 < float(is_grey.float().mean()) < 0.7  # those that kept the simulator's look, or took on that of what is grey
    assert float(painted.min()) >= 0 and float(painted.max()) <= 1


def test_what_is_held_keeps_its_colours_and_most_backgrounds_do(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = scene
    painted = repaint(images, labels, images.flip(3), generator(1))
    assert torch.equal(painted[:, :, 5:8, 12:28], images[:, :, 5:8, 12:28])
    kept = torch.isclose(painted[:, :, :, 40:], images[:, :, :, 40:]).flatten(1).all(1)
    assert 0.55 < float(kept.float().mean()) < 0.85


@pytest.mark.usefixtures("even_skin")
def test_some_arms_are_bare_some_sleeved_some_partly(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = scene
    painted = repaint(torch.full_like(images, 0.5), labels, torch.zeros_like(images), generator(2))
    near, far = painted[:, :, 22:24, 14:26].mean((2, 3)), painted[:, :, 44:47, 14:26].mean((2, 3))
    hand = painted[:, :, 13:17, 14:26].mean((2, 3))
    is_like_hand = ((near - hand).abs().amax(1) < 1e-3, (far - hand).abs().amax(1) < 1e-3)
    assert all(0.2 < float(same.float().mean()) < 0.9 for same in is_like_hand)
    assert int((is_like_hand[0] & ~is_like_hand[1]).sum()) > 5  # the sleeve ends on the arm


def test_skin_is_grained_and_the_simulators_own_is_not(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = scene
    painted = repaint(torch.full_like(images, 0.5), labels, images, generator(3))
    spread = painted[:, :, 12:18, 12:28].flatten(2).std(2).amax(1)
    assert 0.35 < float((spread < 1e-6).float().mean()) < 0.7 and float(spread.max()) > 0.03


@pytest.mark.usefixtures("even_skin")
def test_some_hands_and_some_arms_look_like_what_is_beside_them(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, labels = scene
    images = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1).expand(COUNT, 3, H, W).clone()
    images[:, :, :, 10:30] = 0.6
    painted = repaint(images, labels, images, generator(5))
    green = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1)

    def is_alike(part: torch.Tensor) -> torch.Tensor:
        near = (part / green - 1).abs().flatten(1).amax(1) < 0.36  # three standard deviations
        return near & (part[:, 1] > 1.2 * part[:, 0]).flatten(1).all(1)

    hands, arms = is_alike(painted[:, :, 13:17, 14:26]), is_alike(painted[:, :, 40:46, 14:26])
    for part in (hands, arms):
        assert 0.07 < float(part.float().mean()) < 0.3
    assert int((hands & ~arms).sum()) > 2 and int((arms & ~hands).sum()) > 2


def test_colours_beside_a_mask_are_of_what_is_near_and_outside() -> None:
    images = torch.zeros(2, 3, 96, 192)
    images[:, 0, :, :96] = 0.25
    images[:, 1, :, 96:] = 0.75
    mask = torch.zeros(2, 96, 192, dtype=torch.bool)
    mask[0, 40:56, 8:24] = True
    images[0, 2][mask[0]] = 1.0
    near = beside(images, mask)[:, :, 0, 0]
    assert near[0].tolist() == pytest.approx([0.25, 0, 0], abs=1e-4), "not of what is far, and not of the mask"
    assert near[1].tolist() == pytest.approx([0.125, 0.375, 0], abs=1e-4), "of everything without a mask"
    assert torch.isfinite(beside(images, ~torch.zeros_like(mask))).all(), "all mask"


def test_distances_start_at_the_nearer_hand() -> None:
    labels = torch.zeros(2, H, W, dtype=torch.long)
    labels[0, 20, 10], labels[0, 20, 50] = HandClass.LEFT_HAND, HandClass.RIGHT_HAND
    distance = hand_distance(labels)
    assert distance[0, 20, 10] == 0 and distance[0, 20, 50] == 0 and (distance[1] == 9).all()
    assert float(distance[0, 44, 10]) == pytest.approx(24 / H) and float(distance[0, 20, 40]) == pytest.approx(10 / H)


def test_cloth_comes_plain_and_patterned() -> None:
    distance = torch.rand(60, H, W, generator=generator(0))
    cloth = cloth_colours(distance, torch.full((60, 3, H, W), 0.123), generator(0))
    assert cloth.shape == (60, 3, H, W)
    is_printed = (cloth == 0.123).flatten(1).all(1)
    assert 3 < int(is_printed.sum()) < 20
    assert 8 < int((cloth[~is_printed].flatten(2).std(2).amax(1) < 1e-6).sum()) < 35


def test_many_clothes_have_little_colour() -> None:
    cloth = cloth_colours(torch.zeros(400, 4, 4), torch.zeros(400, 3, 4, 4), generator(1))
    colour = cloth.amax((1, 2, 3)) - cloth.amin((1, 2, 3))
    assert 0.2 < float((colour < 0.1).float().mean()) < 0.6


def test_toned_backgrounds_keep_their_brightness_order(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, _ = scene
    toned = tone(images, images[:, :1], generator(0))
    assert (toned.diff(dim=3) >= -1e-5).all()


def test_a_photograph_has_256_levels_in_range_and_follows_its_generator(scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    images = scene[0][:16]
    a, b, c = (photograph(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and a.shape == images.shape
    assert float(a.min()) >= 0 and float(a.max()) <= 1
    assert torch.allclose(a * 255, (a * 255).round(), atol=1e-3)
    assert float(a.mean((1, 2, 3)).std()) > 0.05  # dark ones and bright ones
