"""Changes of look follow their generator and keep shape and range."""

from __future__ import annotations

import torch

from ego_perception.nn.look import change_look


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_equal_generators_give_equal_looks() -> None:
    images = torch.rand(4, 3, 24, 32, generator=generator(0))
    a, b, c = (change_look(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert a.shape == images.shape and float(a.min()) >= 0 and float(a.max()) <= 1.2 + 1e-6


def test_images_of_a_batch_change_differently_but_stay_recognisable() -> None:
    ramp = torch.linspace(0, 1, 64).expand(6, 3, 48, 64)
    changed = change_look(ramp, generator(3)).mean((1, 2))
    assert len({round(float(row.mean()), 3) for row in changed}) == 6
    for row in changed:
        assert float(torch.corrcoef(torch.stack([row, ramp[0, 0, 0]]))[0, 1]) > 0.6
