"""The diffusion model at work on images of its own working size: encode frames once, fill the hole of one of them.

Exact savings: frames are folded into the batch, attention runs in one fused kernel, and a frame's latent is computed once
and used again whenever the frame serves as context. Savings that change the result: fewer steps, a window around the hole
(latents are cut from those of the whole image), a start half way from a first guess, lower precision. Each is measured
against the plain way in the tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ego_perception.errors import ConfigError, FrameError
from ego_perception.hand_removal.config import DiffusionConfig
from ego_perception.hand_removal.vidm.diffusion import Known, NoiseSource, SamplingPlan, sample
from ego_perception.hand_removal.vidm.images import latent_mask, to_bytes, to_tensor
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.noise import NoiseTable
from ego_perception.hand_removal.vidm.sizes import CELL
from ego_perception.hand_removal.vidm.window import Window, whole


@dataclass(frozen=True)
class EncodedFrame:
    """What the UNet sees of one frame.

    Attributes:
        condition: (1, C + 1, h, w): latent of the image with a black hole, and the mask (+1 in the hole, -1 elsewhere).
    """

    condition: Tensor

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the latent."""
        return self.condition.shape[2], self.condition.shape[3]


class VidmInpainter:
    """Fills holes with a model.

    Args:
        model: moved to `device` and put into evaluation mode.
        config: how to sample and how to compute.
        device: "cpu" or "cuda".

    Raises:
        ConfigError: settings that do not go together, or no such device on this machine.
    """

    def __init__(self, model: Vidm, config: DiffusionConfig | None = None, device: str = "cpu") -> None:
        self.config = config or DiffusionConfig()
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device is 'cuda' but torch sees no GPU; choose cpu")
        c = self.config
        if c.quirks and (c.start_time or c.keep_known or c.keep_observed):
            raise ConfigError("quirks go with start_time 0 and without keep_known and keep_observed; leave one of them out")
        self.plan = SamplingPlan(c.solver, c.steps, c.eta, is_published=c.quirks)
        self.guided_plan = replace(self.plan, steps=c.start_steps, start=c.start_time) if c.start_time else self.plan
        self.device = torch.device(device)
        layout = torch.channels_last if c.channels_last else torch.contiguous_format
        # module.to() knows memory_format, its type stub does not
        self.model = cast("Any", model).to(self.device, memory_format=layout).eval()
        self.sizes = model.sizes
        self._unet = torch.compile(self.model.unet) if c.compile else self.model.unet
        self._blanks: dict[tuple[int, int], EncodedFrame] = {}
        self._table = NoiseTable(self.sizes.code_width, c.seed)

    @torch.inference_mode()
    def encode(self, rgb: NDArray[np.uint8], hole: NDArray[np.bool_]) -> EncodedFrame:
        """Encode one frame.

        Args:
            rgb: (H, W, 3), H and W multiples of the model's reduction (32); values in the hole are not used.
            hole: (H, W), margin included.

        Raises:
            FrameError: shapes or types that do not fit.
        """
        if rgb.shape[0] % self.sizes.reduction or rgb.shape[1] % self.sizes.reduction:
            raise FrameError(f"image is {rgb.shape[1]}x{rgb.shape[0]}; sides must be multiples of {self.sizes.reduction}")
        image, mask = to_tensor(rgb, hole, self.device)
        with self._precision():
            latent = self.model.first_stage.encode(image)
        return EncodedFrame(torch.cat([latent.float(), latent_mask(mask, is_published=self.config.quirks)], dim=1))

    @torch.inference_mode()
    def encode_guess(self, rgb: NDArray[np.uint8]) -> Tensor:
        """Latent (1, C, h, w) of what a window of the target may look like, (H, W, 3), the hole filled somehow.

        Raises:
            FrameError: a type that does not fit.
        """
        image, _ = to_tensor(rgb, np.zeros(rgb.shape[:2], np.bool_), self.device)
        with self._precision():
            latent: Tensor = self.model.first_stage.encode(image)
        return latent.float()

    @torch.inference_mode()
    def fill(
        self,
        target: EncodedFrame,
        context: Sequence[EncodedFrame],
        window: Window | None = None,
        noise: NoiseSource | None = None,
        guess: Tensor | None = None,
        place: NDArray[np.float64] | None = None,
    ) -> NDArray[np.uint8]:
        """Generate what the target shows, hole and all.

        Args:
            target: frame whose hole is to be filled.
            context: other frames of the same size, oldest first; with fewer than the model takes, the oldest is repeated,
                with none the model sees frames that are all hole.
            window: part to work on; the whole image if left out.
            noise: instead of the fixed noise of `config.seed`; of the latent's shape.
            guess: of the window, from `encode_guess`; the settings `start_time` and `keep_known` use it.
            place: (3, 3) homography to the place that the noise belongs to (`noise.NoiseTable`); that of the image if left out.

        Returns:
            (height, width, 3) of the window.

        Raises:
            FrameError: frames of different sizes, or a result that is not finite.
        """
        frames = self._slots(target, context)
        window = window or whole(CELL * target.cells[1], CELL * target.cells[0])
        rows, columns = window.cells
        condition = torch.stack([f.condition[:, :, rows, columns] for f in frames], dim=1)
        if guess is not None and guess.shape[2:] != condition.shape[3:]:
            raise FrameError(f"the first guess has {tuple(guess.shape[2:])} cells, the window {tuple(condition.shape[3:])}")

        def denoise(x: Tensor, times: Tensor) -> Tensor:
            shared = x[:, None].expand(-1, len(frames), -1, -1, -1)
            with self._precision():
                predicted: Tensor = self._unet(torch.cat([shared, condition], dim=2), times)
            return predicted.float()

        start, known = self._held(target, guess, window)
        source = noise or self._fixed_noise(target.cells, window, place)
        with self._precision():  # around all steps, so that weights are converted once
            latent = sample(self.plan if start is None else self.guided_plan, denoise, source, start, known)
            decoded = self.model.first_stage.decode(latent)[0]
        if not bool(torch.isfinite(decoded).all()):
            raise FrameError("the diffusion model gave numbers that are not finite; check its weights and precision")
        return to_bytes(decoded, is_published=self.config.quirks)

    def _held(self, target: EncodedFrame, guess: Tensor | None, window: Window) -> tuple[Tensor | None, Known | None]:
        """The latent to start from, and the cells that are kept, as far as the settings ask for them."""
        start = guess if self.config.start_time else None
        if not self.config.keep_known:
            return start, None
        rows, columns = window.cells
        mask = target.condition[:, -1:]
        if guess is None:
            # The frame's own latent has seen the black of the hole in the cells beside it; that of the guess has not.
            mask = functional.max_pool2d(mask, 3, stride=1, padding=1)
        latent = target.condition[:, :-1, rows, columns] if guess is None else guess
        return start, Known(latent, mask[:, :, rows, columns] < 0)

    def _slots(self, target: EncodedFrame, context: Sequence[EncodedFrame]) -> list[EncodedFrame]:
        wanted = self.sizes.frames - 1
        if any(frame.cells != target.cells for frame in context):
            raise FrameError(f"context frames have other sizes than the target's {target.cells} cells; start anew")
        newest = list(context[-wanted:]) if wanted else []
        oldest = newest[0] if newest else self._blank(target.cells)
        return [*[oldest] * (wanted - len(newest)), *newest, target]

    def _blank(self, cells: tuple[int, int]) -> EncodedFrame:
        """A frame of which nothing is visible."""
        if cells not in self._blanks:
            height, width = CELL * cells[0], CELL * cells[1]
            self._blanks[cells] = self.encode(np.zeros((height, width, 3), np.uint8), np.ones((height, width), np.bool_))
        return self._blanks[cells]

    def _fixed_noise(self, cells: tuple[int, int], window: Window, place: NDArray[np.float64] | None = None) -> NoiseSource:
        """Noise that belongs to places in the whole image, whatever the window; drawn on the CPU so that devices agree.

        With `place` the start's noise belongs to places of the scene instead.
        """
        generator = torch.Generator().manual_seed(self.config.seed)
        rows, columns = window.cells
        start = [] if place is None else [self._table.field(cells, place)]

        def draw() -> Tensor:
            field = start.pop() if start else torch.randn((1, self.sizes.code_width, *cells), generator=generator)
            return field[:, :, rows, columns].to(self.device)

        return draw

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)
