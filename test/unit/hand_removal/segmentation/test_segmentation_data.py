"""Training images of the segmenter: classes, mirrored sides, pasted hands, masks of the frame before."""

from __future__ import annotations

import numpy as np
import torch

from ego_perception.data import SceneLabel
from ego_perception.hand_removal.segmentation.data import hand_classes, mask_before, move, paste_hands
from ego_perception.hand_removal.segmentation.sizes import MIRRORED, HandClass


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_only_hands_arms_and_held_objects_have_classes() -> None:
    labels = np.array([[SceneLabel.LEFT_ARM, SceneLabel.WEARER, SceneLabel.PERSON, SceneLabel.HELD_OBJECT]], np.uint8)
    assert hand_classes(labels).tolist() == [[HandClass.LEFT_ARM, HandClass.NONE, HandClass.NONE, HandClass.HELD_OBJECT]]
    assert [MIRRORED[MIRRORED[c]] for c in HandClass] == list(HandClass)


def test_labels_move_with_the_image_and_sides_swap_when_mirrored() -> None:
    labels = torch.zeros(64, 48, 64, dtype=torch.long)
    labels[:, 10:40, 8:24] = HandClass.LEFT_HAND
    labels[:, 10:40, 44:56] = HandClass.RIGHT_ARM
    images = (labels != 0).float()[:, None].expand(-1, 3, -1, -1)
    moved, picked = move(images, labels, generator(0))
    assert float(((moved[:, 0] > 0.5) != (picked != 0)).float().mean()) < 0.03
    kinds = [set(row.unique().tolist()) - {0} for row in picked]
    straight, mirrored = {HandClass.LEFT_HAND, HandClass.RIGHT_ARM}, {HandClass.RIGHT_HAND, HandClass.LEFT_ARM}
    assert all(kind <= straight or kind <= mirrored for kind in kinds)
    assert 16 < sum(bool(kind & mirrored) for kind in kinds) < 48


def test_hands_are_pasted_on_bare_images_only() -> None:
    labels = torch.zeros(40, 12, 16, dtype=torch.long)
    labels[:20, 2:6, 3:9] = HandClass.LEFT_HAND
    images = torch.full((40, 3, 12, 16), 0.2)
    images[:20, :, 2:6, 3:9] = 0.5
    pasted, found = paste_hands(images, labels, generator(1))
    assert torch.equal(pasted[:20], images[:20]) and torch.equal(found[:20], labels[:20])
    got = (found[20:] != 0).flatten(1).any(1)
    assert 1 <= int(got.sum()) < 20
    changed = (pasted[20:] != images[20:]).any(1)
    assert torch.equal(changed | (found[20:] == 0), torch.ones_like(changed)) and not changed[~got].any()


def test_masks_before_are_often_missing_else_near_the_hands() -> None:
    labels = torch.zeros(200, 48, 64, dtype=torch.long)
    labels[:, 16:32, 20:44] = HandClass.RIGHT_HAND
    before = mask_before(labels, generator(0))
    missing = before.flatten(1).sum(1) == 0
    assert 0.3 < float(missing.float().mean()) < 0.5
    inside = before[~missing][:, 0, 16:32, 20:44].mean()
    assert float(inside) > 3 * float(before[~missing][:, 0, :8, :8].mean())
