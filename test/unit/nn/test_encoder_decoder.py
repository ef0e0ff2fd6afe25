"""The shared body of the compact networks: shapes at any size, names of the parts, and what reaches what."""

from __future__ import annotations

import pytest
import torch

from ego_perception.nn import EncoderDecoder
from ego_perception.nn.blocks import ConvNorm


def body(num_in: int = 3) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(num_in, 4, (6, 8, 10), (1, 2, 1), (12, 10, 8, 6)).eval()


@pytest.mark.parametrize("size", [(64, 48), (40, 56), (33, 47)])
def test_features_are_half_as_large_and_the_mean_is_one_place(size: tuple[int, int]) -> None:
    features, pooled = body().encode_decode(torch.rand(2, 3, *size))
    assert features.shape == (2, 6, -(-size[0] // 2), -(-size[1] // 2))
    assert pooled.shape == (2, 10, 1, 1)


def test_parts_keep_the_names_that_weight_files_hold() -> None:
    names = {name.split(".")[0] for name in body().state_dict()}
    assert names == {"stem", "stages", "context", "top", "top_mix", "levels"}
    assert [len(stage) for stage in body().stages] == [1, 2, 1]


def test_a_corner_is_felt_everywhere() -> None:
    model, image = body(), torch.rand(1, 3, 256, 256)
    changed = image.clone()
    changed[..., :64, :64] = 0
    with torch.no_grad():
        difference = (model.encode_decode(image)[0] - model.encode_decode(changed)[0]).abs().sum(1)[0]
    assert bool((difference[-8:, -8:] > 0).all())


def test_one_decoder_width_more_than_stages() -> None:
    with pytest.raises(ValueError, match="zip"):
        EncoderDecoder(3, 4, (6, 8), (1, 1), (8, 8, 8, 8))


def test_the_stem_takes_the_channels_given() -> None:
    assert isinstance(body(4).stem, ConvNorm)
    assert body(4).stem[0].weight.shape == (4, 4, 3, 3)
