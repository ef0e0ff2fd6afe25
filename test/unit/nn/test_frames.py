"""Folded frame blocks against the plain operators on (B, C, T, H, W) that they stand for."""

from __future__ import annotations

import math

import pytest
import torch
from fixtures.random_weights import numbers
from torch import Tensor, nn
from torch.nn import functional

from ego_perception.nn.frames import FrameAttention, FrameGroupNorm, FrameJoin, Resample, TimeResidual, sinusoids

B, T, C, H, W = 2, 3, 64, 4, 6


def fill(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(numbers(name, value.shape) * (0.3 if value.ndim == 1 else value[0].numel() ** -0.5))
    return module


def unfold(x: Tensor) -> Tensor:
    """(B*T, C, H, W) to (B, C, T, H, W)."""
    return x.unflatten(0, (-1, T)).transpose(1, 2)


def fold(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)


def folded_input() -> Tensor:
    return 2.0 * numbers("x", (B * T, C, H, W)) + 3.0


def plain_norm(norm: FrameGroupNorm, x: Tensor) -> Tensor:
    return functional.group_norm(x, 32, norm.weight, norm.bias, norm.eps)


def test_statistics_span_the_frames() -> None:
    norm, x = fill(FrameGroupNorm(C, T)), folded_input()
    assert isinstance(norm, FrameGroupNorm)
    expected = fold(plain_norm(norm, unfold(x)))
    torch.testing.assert_close(norm(x), expected, atol=3e-6, rtol=0)
    alone = functional.group_norm(x, 32, norm.weight, norm.bias, norm.eps)
    assert (alone - expected).abs().max() > 0.01, "the test could not tell frames that are normalised one by one"


def test_one_frame_is_the_usual_group_norm() -> None:
    norm, x = fill(FrameGroupNorm(C, 1)), folded_input()
    assert isinstance(norm, FrameGroupNorm)
    torch.testing.assert_close(norm(x), plain_norm(norm, x), atol=3e-6, rtol=0)


def test_memory_order_changes_nothing() -> None:
    for module in (fill(FrameGroupNorm(C, T)), fill(FrameAttention(C, 4, T))):
        x = folded_input()
        expected, result = module(x), module(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)
        assert result.is_contiguous(memory_format=torch.channels_last)


def test_half_precision_keeps_float_statistics() -> None:
    norm, x = fill(FrameGroupNorm(C, T)), folded_input()
    result = norm((x + 200.0).bfloat16())
    assert result.dtype is torch.bfloat16
    torch.testing.assert_close(result.float(), norm((x + 200.0).bfloat16().float()), atol=0.02, rtol=0.01)


def test_attention_is_joint_over_frames_and_ordered_by_head() -> None:
    heads = 4
    attention, x = fill(FrameAttention(C, heads, T)), folded_input()
    assert isinstance(attention, FrameAttention)
    spread = unfold(x)
    normal = plain_norm(attention.norm, spread).reshape(B, C, -1)
    qkv = torch.einsum("oc,bcn->bon", attention.qkv.weight, normal) + attention.qkv.bias[:, None]
    width = C // heads
    outputs = []
    for head in range(heads):
        q, k, v = qkv[:, head * 3 * width : (head + 1) * 3 * width].split(width, dim=1)
        weights = torch.softmax(torch.einsum("bcn,bcm->bnm", q, k) / math.sqrt(width), dim=-1)
        outputs.append(torch.einsum("bnm,bcm->bcn", weights, v))
    mixed = torch.einsum("oc,bcn->bon", attention.out.weight, torch.cat(outputs, dim=1)) + attention.out.bias[:, None]
    torch.testing.assert_close(attention(x), fold(spread + mixed.reshape(spread.shape)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("resample", list(Resample))
def test_residual_equals_three_dimensional_operators(resample: Resample) -> None:
    block = fill(TimeResidual(C, 32, 16, T, resample))
    assert isinstance(block, TimeResidual) and isinstance(block.shortcut, nn.Conv2d)
    x, time = folded_input(), numbers("time", (B, 16))

    def resized(y: Tensor) -> Tensor:
        if resample is Resample.DOWN:
            return functional.avg_pool3d(y, (1, 2, 2))
        return y.repeat_interleave(2, 3).repeat_interleave(2, 4) if resample is Resample.UP else y

    def convolved(layer: nn.Conv2d, y: Tensor) -> Tensor:
        side = layer.kernel_size[0] // 2
        return functional.conv3d(y, layer.weight[:, :, None], layer.bias, padding=(0, side, side))

    spread = unfold(x)
    h = convolved(block.conv1, resized(functional.silu(plain_norm(block.norm1, spread))))
    h = h + functional.linear(time, block.time.weight, block.time.bias)[:, :, None, None, None]
    h = convolved(block.conv2, functional.silu(plain_norm(block.norm2, h)))
    torch.testing.assert_close(block(x, time), fold(convolved(block.shortcut, resized(spread)) + h), atol=2e-5, rtol=0)


def test_a_fresh_block_is_its_shortcut() -> None:
    x = folded_input()
    torch.testing.assert_close(FrameAttention(C, 4, T)(x), x)
    torch.testing.assert_close(TimeResidual(C, C, 16, T)(x, torch.zeros(B, 16)), x)


def test_join_is_a_convolution_over_time() -> None:
    join, x = fill(FrameJoin(C, T)), folded_input()
    assert isinstance(join, FrameJoin)
    kernel = join.weight.view(C, T, C).transpose(1, 2)[..., None, None]  # (out, in, T, 1, 1)
    torch.testing.assert_close(join(x), functional.conv3d(unfold(x), kernel, join.bias)[:, :, 0], atol=1e-5, rtol=0)


def test_join_can_start_as_a_copy_of_one_frame() -> None:
    join, x = FrameJoin(C, T), folded_input()
    join.start_at_frame(T - 1)
    torch.testing.assert_close(join(x), unfold(x)[:, :, T - 1], atol=1e-6, rtol=0)


def test_sinusoids_begin_with_cosines() -> None:
    embedded = sinusoids(torch.tensor([0, 3]), 8)
    torch.testing.assert_close(embedded[0], torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]))
    frequencies = [10000 ** (-k / 4) for k in range(4)]
    expected = [math.cos(3 * f) for f in frequencies] + [math.sin(3 * f) for f in frequencies]
    torch.testing.assert_close(embedded[1], torch.tensor(expected))


def test_gradients_pass_every_block() -> None:
    x = folded_input().requires_grad_()
    block, attention = fill(TimeResidual(C, C, 16, T)), fill(FrameAttention(C, 4, T))
    attention(block(x, numbers("time", (B, 16)))).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all() and x.grad.abs().min() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for m in (block, attention) for p in m.parameters())
