"""Blocks: shapes, gradients, and that a batch is a loop."""

from __future__ import annotations

import pytest
import torch

from ego_perception.nn import ConvNorm, Residual, UpsampleMerge, num_parameters


def random_statistics(module: torch.nn.Module) -> None:
    """Give every normalisation values that a swapped or forgotten layer would betray."""
    torch.manual_seed(3)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias)
            assert layer.running_mean is not None and layer.running_var is not None
            torch.nn.init.normal_(layer.running_mean)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2.0)


@pytest.mark.parametrize(
    ("size", "stride", "expected"), [((12, 16), 1, (12, 16)), ((12, 16), 2, (6, 8)), ((13, 17), 2, (7, 9))]
)
def test_residual_shapes(size: tuple[int, int], stride: int, expected: tuple[int, int]) -> None:
    assert Residual(4, 6, stride)(torch.randn(2, 4, *size)).shape == (2, 6, *expected)


def test_residual_without_change_of_shape_keeps_its_input() -> None:
    block = Residual(4, 4).eval()
    torch.nn.init.zeros_(block.second[1].weight)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(block(x), x)


def test_conv_norm_without_activation_gives_negative_values() -> None:
    x = torch.randn(4, 3, 8, 8)
    assert float(ConvNorm(3, 5, activate=False)(x).detach().min()) < 0
    assert float(ConvNorm(3, 5)(x).detach().min()) == 0


@pytest.mark.parametrize("num_out", [6, 8])
def test_upsample_merge_takes_the_size_of_the_skip(num_out: int) -> None:
    block = UpsampleMerge(8, 5, num_out)
    assert block(torch.randn(2, 8, 3, 4), torch.randn(2, 5, 7, 9)).shape == (2, num_out, 7, 9)


@pytest.mark.parametrize("block", [Residual(3, 4, 2), Residual(3, 3), ConvNorm(3, 4)])
def test_gradients_match_finite_differences(block: torch.nn.Module) -> None:
    block = block.double().eval()
    random_statistics(block)
    # ReLU is not differentiable at zero; a fixed seed keeps all activations away from it.
    torch.manual_seed(0)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: block(v.clone()), (x,))


def test_batch_equals_loop() -> None:
    torch.manual_seed(0)
    block = Residual(3, 4, 2).eval()
    random_statistics(block)
    x = torch.randn(5, 3, 9, 9)
    loop = torch.cat([block(row[None]) for row in x])
    assert torch.allclose(block(x), loop, atol=1e-6)


def test_num_parameters_counts_known_layers() -> None:
    assert num_parameters(torch.nn.Linear(3, 4)) == 16
    assert num_parameters(ConvNorm(2, 5)) == 2 * 5 * 9 + 10
