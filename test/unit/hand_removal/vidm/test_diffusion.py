"""The noise schedule and both samplers: against the published code, and against problems whose solution is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.random_weights import numbers
from torch import Tensor

from ego_perception.errors import ConfigError
from ego_perception.hand_removal.vidm.diffusion import (
    DDIM,
    DPM,
    PUBLISHED_PLAN,
    Known,
    SamplingPlan,
    alphas_cumprod,
    betas,
    noised,
    published_times,
    sample,
)

SHAPE = (1, 2, 3, 4)


def bounded(x: Tensor, times: Tensor) -> Tensor:
    """The toy network that the golden samples were made with."""
    return torch.tanh(1.3 * x + 0.001 * times.double().view(-1, 1, 1, 1)) * 0.9


def named_noise() -> Callable[[], Tensor]:
    stream = iter(["ddim.start", *(f"ddim.noise{i}" for i in range(1000))])
    return lambda: numbers(next(stream), SHAPE).double()


def test_schedule_equals_the_published_one(golden: dict[str, Any]) -> None:
    assert np.abs(betas() - golden["schedule.betas"]).max() < 1e-15
    assert alphas_cumprod()[[0, 1, 999]] == pytest.approx([0.9985, 0.99699415, 9.691e-5], rel=1e-4)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [4, 8, 10, 12, 20, 30, 50, 200])
def test_ddim_equals_the_published_sampler(golden: dict[str, Any], steps: int, eta: float) -> None:
    assert np.array_equal(published_times(steps), golden[f"ddim.steps{steps}"])
    result = sample(SamplingPlan(DDIM, steps, eta, is_published=True), bounded, named_noise())
    assert np.abs(result.numpy() - golden[f"ddim.s{steps}.eta{eta:g}"]).max() < 1e-9


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [4, 10, 50])
def test_ddim_equals_diffusers(steps: int, eta: float) -> None:
    """A second reference: its scheduler with the settings that stand for this schedule."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler = DDIMScheduler(1000, 0.0015, 0.0205, "scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    scheduler.set_timesteps(steps)
    noise = named_noise()
    x = noise()
    for time in scheduler.timesteps:
        predicted = bounded(x, time[None])
        drawn = noise() if eta else None
        x = scheduler.step(predicted, time, x, eta=eta, variance_noise=drawn, return_dict=False)[0]
    ours = sample(SamplingPlan(DDIM, steps, eta, is_published=True), bounded, named_noise())
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-3)  # diffusers keeps its schedule in float32


def test_published_sampler_gives_more_steps_than_asked_where_they_do_not_divide() -> None:
    assert [len(published_times(n)) for n in (200, 30, 12)] == [200, 31, 13]
    assert (PUBLISHED_PLAN.solver, PUBLISHED_PLAN.steps, PUBLISHED_PLAN.eta) == (DDIM, 200, 1.0)


def test_every_number_of_steps_has_times_within_the_schedule() -> None:
    for steps in range(1, 501):
        times = published_times(steps)
        assert times[0] == 1 and times[-1] < 1000 and len(times) >= steps, steps
    assert [len(published_times(n)) for n in (3, 9, 27, 37, 111, 333)] == [3, 9, 27, 37, 111, 333]


def test_published_sampler_ends_with_noise_and_ours_does_not() -> None:
    """A network that knows the clean latent exactly: ours returns it, the published sampler adds noise of 0.027."""
    clean = numbers("clean", (1, 3, 40, 40)).double()
    alphas = torch.from_numpy(alphas_cumprod())

    def oracle(x: Tensor, times: Tensor) -> Tensor:
        alpha = alphas[times].view(-1, 1, 1, 1)
        return (x - alpha.sqrt() * clean) / (1 - alpha).sqrt()

    def noise_of(seed: int) -> Callable[[], Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return lambda: torch.randn(clean.shape, generator=generator, dtype=torch.float64)

    ours = sample(SamplingPlan(DDIM, 20, 1.0), oracle, noise_of(0))
    torch.testing.assert_close(ours, clean)
    published = sample(PUBLISHED_PLAN, oracle, noise_of(0))
    left = published - alphas[0].sqrt() * clean
    assert 0.9 * 0.0387 < float(left.std()) < 1.1 * 0.0387  # sqrt(1 - alpha_bar[0]), of which 0.0274 is fresh
    fast = sample(SamplingPlan(DPM, 6), oracle, noise_of(1))
    torch.testing.assert_close(fast, clean, atol=1e-5, rtol=0)  # diffusers keeps its schedule in float32


class Gaussian:
    """Latents distributed as independent normal numbers: the best prediction and the flow's solution are closed forms."""

    def __init__(self) -> None:
        self.mean = numbers("mean", SHAPE).double()
        self.deviation = 0.3 + numbers("deviation", SHAPE).double().abs()
        self.start = numbers("start", SHAPE).double()
        self.alphas = torch.from_numpy(alphas_cumprod())

    def predict(self, x: Tensor, times: Tensor) -> Tensor:
        alpha = self.alphas[times].view(-1, 1, 1, 1)
        variance = alpha * self.deviation**2 + 1 - alpha
        return (1 - alpha).sqrt() * (x - alpha.sqrt() * self.mean) / variance

    def solution(self, x: Tensor, time: int) -> Tensor:
        alpha = self.alphas[time]
        scale = self.deviation / (alpha * self.deviation**2 + 1 - alpha).sqrt()
        return self.mean + scale * (x - alpha.sqrt() * self.mean)


def error_of(plan: SamplingPlan) -> float:
    problem = Gaussian()
    result = sample(plan, problem.predict, lambda: problem.start)
    last = 999 if plan.solver == DPM else int(published_times(plan.steps)[-1])
    return float((result - problem.solution(problem.start, last)).abs().mean())


def test_both_solvers_converge_to_the_known_solution() -> None:
    dpm = [error_of(SamplingPlan(DPM, n)) for n in (5, 10, 20, 50)]
    ddim = [error_of(SamplingPlan(DDIM, n)) for n in (20, 50, 200, 500)]
    assert dpm == sorted(dpm, reverse=True) and dpm[-1] < 0.003
    assert ddim == sorted(ddim, reverse=True) and ddim[-1] < 0.01


def test_ten_fast_steps_beat_fifty_of_ddim() -> None:
    assert error_of(SamplingPlan(DPM, 10)) < error_of(SamplingPlan(DDIM, 50)) < 0.1


@pytest.mark.parametrize("solver", [DDIM, DPM])
def test_a_good_guess_is_refined_from_half_way(solver: str) -> None:
    problem = Gaussian()
    guess = problem.mean + 0.1
    plan = SamplingPlan(solver, 40, start=400)
    result = sample(plan, problem.predict, lambda: problem.start, guess)
    expected = problem.solution(noised(guess, 400, problem.start), 400)
    assert float((result - expected).abs().mean()) < 0.02
    few = sample(SamplingPlan(DPM, 50, start=2), problem.predict, lambda: problem.start, guess)
    assert float((few - guess).abs().max()) < 0.3, "more steps than times are cut to the times there are"


def half_known(problem: Gaussian) -> Known:
    """The left half of what sampling from the problem's start would give."""
    cells = torch.zeros((1, 1, *SHAPE[2:]), dtype=torch.bool)
    cells[..., :2] = True
    return Known(problem.mean + 2.0, cells)


@pytest.mark.parametrize("solver", [DDIM, DPM])
@pytest.mark.parametrize("start", [None, 400])
def test_known_cells_come_out_as_they_are_and_the_others_as_without(solver: str, start: int | None) -> None:
    """The problem's cells are independent, so that keeping some must not move the others."""
    problem = Gaussian()
    plan = SamplingPlan(solver, 20, start=start)
    guess = None if start is None else problem.mean
    plain = sample(plan, problem.predict, lambda: problem.start, guess)
    known = half_known(problem)
    held = sample(plan, problem.predict, lambda: problem.start, guess, known)
    assert torch.equal(held[..., :2], known.latent[..., :2])
    torch.testing.assert_close(held[..., 2:], plain[..., 2:])


@pytest.mark.parametrize("solver", [DDIM, DPM])
def test_the_network_sees_known_cells_as_noisy_as_the_others(solver: str) -> None:
    problem, known = Gaussian(), half_known(Gaussian())
    seen: list[tuple[int, Tensor]] = []

    def denoise(x: Tensor, times: Tensor) -> Tensor:
        seen.append((int(times[0]), x[..., :2]))
        return problem.predict(x, times)

    sample(SamplingPlan(solver, 8), denoise, lambda: problem.start, known=known)
    assert len(seen) == 8
    for time, x in seen:
        torch.testing.assert_close(x, noised(known.latent, time, problem.start)[..., :2])


def test_plans_that_make_no_sense() -> None:
    for arguments, message in (
        ({"solver": "euler"}, "solver is 'euler'; choose one of ddim, dpm"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 501}, "steps is 501; allowed is 1 to 500"),
        ({"eta": 0.5}, "eta is 0.5; allowed is 0 to 1 for ddim and 0 for dpm"),
        ({"start": 1000}, "start is 1000"),
        ({"is_published": True}, "published sampler is ddim"),
    ):
        with pytest.raises(ConfigError, match=message):
            SamplingPlan(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="first guess is absent"):
        sample(SamplingPlan(DPM, 4, start=100), bounded, named_noise())
    with pytest.raises(ConfigError, match="start is None"):
        sample(SamplingPlan(DPM, 4), bounded, named_noise(), numbers("x", SHAPE))
