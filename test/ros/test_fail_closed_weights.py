"""A thousand faults around the shipped networks in the real node, on simulated pictures of hands: not one gets out."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import removal_fakes as fakes
from removal_rig import STEP_NS, RemovalRig
from ros_support import Graph, wait_for
from sensor_msgs.msg import CompressedImage, Image

from ego_perception.data import Frame
from ego_perception.data.labels import HANDS_AND_ARMS
from ego_perception.hand_removal.estimator import HandRemovalConfig, HandRemovalEstimator
from ego_perception.hand_removal.fill.painter import Painter
from ego_perception.hand_removal.fill.sizes import PLANES
from ego_perception.hand_removal.guard import CheckedSegmenter
from ego_perception.hand_removal.relay import Relay
from ego_perception.messages import image_message, stamp_ns_of
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.nodes.model import ModelIdentity, RemovalModel

pytestmark = [pytest.mark.slow, pytest.mark.ros]

NUM_FAULTS = 1000
SEED, TILT_DEG, FIRST, COUNT = 10500, 25.0, 20, 20
"""Pictures in which the wearer's hands are seen."""
MASK_FAULTS: dict[str, dict[str, Any]] = {
    "no mask": {},
    "wrong encoding": {"encoding": "rgb8", "change": lambda m: np.repeat(m[..., None], 3, axis=2)},
    "wrong shape": {"change": lambda m: m[:, : m.shape[1] // 2].copy()},
    "wrong values": {"change": lambda m: np.full_like(m, 7)},
    "everything": {"change": lambda m: np.full_like(m, 255)},
    "wrong stamp": {"shift_ns": -10 * STEP_NS},
}


class Faulty:
    """A part of the estimator whose answer is spoilt on request."""

    def __init__(self, inside: Any, method: str) -> None:
        self.fault: Any = None
        self.num_struck = 0
        self.name = getattr(inside, "name", "")
        setattr(self, method, self._answer(getattr(inside, method)))

    def _answer(self, real: Any) -> Any:
        def answer(*inputs: Any) -> Any:
            self.num_struck += self.fault is not None
            if isinstance(self.fault, BaseException):
                raise self.fault
            given = real(*inputs)
            if self.fault is None:
                return given
            return self.fault(given) if not isinstance(given, (tuple, list)) else self._spoil_outputs(given)

        return answer

    def _spoil_outputs(self, given: Any) -> Any:
        spoilt = self.fault(*given[-2:])
        return None if spoilt is None else (*given[:-2], *spoilt)


class RealEstimator(Relay):
    """The estimator with its networks, each of which can fail."""

    def __init__(self, config: HandRemovalNodeConfig, weights: tuple[Path, Path]) -> None:
        from ego_perception.hand_removal.fill.network import load_filler
        from ego_perception.hand_removal.segmentation.network import load_segmenter

        self.segmenter = Faulty(load_segmenter(weights[0]), "predict")
        filler = load_filler(weights[1])
        self.backend = Faulty(filler.backend, "run")
        object.__setattr__(filler, "backend", self.backend)
        self.segmenter.predict(np.zeros((240, 320, 3), np.uint8))
        filler.paint(np.zeros((PLANES, 128, 128), np.float32))
        self.fault: Any = None
        settings = HandRemovalConfig("frame" if config.mask_source == "topic" else config.mask_source)
        self._real = HandRemovalEstimator(settings, CheckedSegmenter(self.segmenter), Painter(settings.painter, filler))
        super().__init__(self._real)

    def reset(self) -> None:
        self._real.reset()

    def flush(self) -> Any:
        return self._real.flush()

    def push(self, frame: Frame) -> Any:
        if isinstance(self.fault, BaseException):
            raise self.fault
        estimate = self._real.push(frame)
        return estimate if self.fault is None else self.fault(estimate)


@pytest.fixture(scope="module")
def weights() -> tuple[Path, Path]:
    from ego_perception.hand_removal.fill.sizes import KIND as FILL
    from ego_perception.hand_removal.segmentation.sizes import KIND as SEGMENTATION
    from ego_perception.weights import shipped_weights

    return shipped_weights(SEGMENTATION), shipped_weights(FILL)


@pytest.fixture(scope="module")
def pictures() -> list[Frame]:
    from ego_perception.simulation import EgoSim, EgoSimConfig

    config = EgoSimConfig(seed=SEED, width=320, height=240, fps=10.0, duration_s=10.0, camera_tilt_deg=TILT_DEG, supersample=1)
    with EgoSim(config) as sim:
        forth = [sim.frame(FIRST + i) for i in range(COUNT)]
    return [*forth, *forth[-2:0:-1]]


@pytest.fixture
def make_rig(graph: Graph, namespace: str, weights: tuple[Path, Path], pictures: list[Frame]) -> Any:
    def make(*parameters: str) -> RemovalRig:
        class Rig(RemovalRig):
            def make_model(self, config: HandRemovalNodeConfig) -> RemovalModel:
                self.estimator = RealEstimator(config, weights)  # type: ignore[assignment]
                return RemovalModel(self.estimator, ModelIdentity("real", "00"))

            def frame(self, stamp_ns: int) -> Frame:
                picture = pictures[self.index % len(pictures)]
                return Frame(stamp_ns, picture.rgb, camera=picture.camera, frame_id="cam_optical")

            def send_mask(self, change: Any = lambda m: m, *, shift_ns: int = 0, encoding: str = "mono8") -> None:
                truth = pictures[self.index % len(pictures)].truth
                assert truth is not None and truth.classes is not None
                labels = np.where(np.isin(truth.classes, HANDS_AND_ARMS), np.uint8(255), np.uint8(0))
                stamp_ns = self.stamp_ns + shift_ns
                self.masks.publish(image_message(self.camera.factory, change(labels), encoding, stamp_ns, "cam_optical"))

        rig = Rig(graph, namespace, "input.queue_policy:=all", *parameters)
        rig.camera.width, rig.camera.height = 320, 240
        rig.patience_s = 60.0  # real networks, on whatever machine
        return rig.activate()

    return make


def spoil(rig: RemovalRig, name: str) -> int | None:
    """One image with a fault in a model; its stamp, or None where that model had nothing to do with it."""
    before = rig.estimator.segmenter.num_struck + rig.estimator.backend.num_struck
    if name in fakes.SEGMENTER_FAULTS:
        rig.estimator.segmenter.fault = fakes.SEGMENTER_FAULTS[name]
    elif name in fakes.PAINTER_FAULTS:
        rig.estimator.backend.fault = fakes.PAINTER_FAULTS[name]
    else:
        rig.estimator.fault = lies_of(rig)[name]
    is_lie = rig.estimator.fault is not None
    stamp_ns = rig.send()
    rig.estimator.segmenter.fault = rig.estimator.backend.fault = rig.estimator.fault = None
    return stamp_ns if is_lie or rig.estimator.segmenter.num_struck + rig.estimator.backend.num_struck > before else None


def lies_of(rig: RemovalRig) -> dict[str, Any]:
    """Faults of the estimator that do not depend on the colour of the fakes' hands."""
    depends = ("live", "generated", "a mask of another size", "provenance", "another frame", "withholds")
    return {name: fault for name, fault in fakes.ESTIMATOR_FAULTS.items() if not any(word in name for word in depends)}


def test_a_thousand_faults_with_the_shipped_weights_show_no_frame(make_rig: Any) -> None:
    half = NUM_FAULTS // 2
    assert len(model_faults(make_rig(), half)) == half


def test_masks_on_a_topic_with_the_shipped_weights_show_no_frame(make_rig: Any) -> None:
    rig = make_rig("mask_source:=topic", "mask_timeout_s:=0.05")
    wait_for(rig.masks.get_subscription_count)
    shown = [rig.listen(Image, "image"), rig.listen(CompressedImage, "image/compressed")]
    good, faulty = set(), set()
    for count, name in zip(range(NUM_FAULTS // 2), itertools.cycle(MASK_FAULTS), strict=False):
        rig.stamp_ns += STEP_NS
        rig.index += 1
        before = rig.handled
        if name != "no mask":
            rig.send_mask(**MASK_FAULTS[name])
        rig.camera.send(rig.stamp_ns)
        wait_for(lambda before=before: rig.handled > before, 30.0)
        faulty.add(rig.stamp_ns)
        if count % 10 == 0:
            good.add(rig.send(mask=True))
    stamps = {stamp_ns_of(m) for listener in shown for m in listener.messages}
    assert stamps & faulty == set()
    assert len(faulty) == NUM_FAULTS // 2


def model_faults(rig: RemovalRig, count: int) -> set[int]:
    """Inject faults of models; give the stamps of the spoilt images, none of which was shown."""
    shown = [rig.listen(Image, "image"), rig.listen(CompressedImage, "image/compressed"), rig.listen(Image, "confidence/image")]
    rig.publish_until(lambda: all(shown))
    names = [*fakes.SEGMENTER_FAULTS, *fakes.PAINTER_FAULTS, *lies_of(rig)]
    spoilt: set[int] = set()
    good = {rig.send()}
    for number, name in enumerate(itertools.cycle(names)):
        if (stamp_ns := spoil(rig, name)) is not None:
            spoilt.add(stamp_ns)
        if number % 5 == 0:
            good.add(rig.send())
        if len(spoilt) == count:
            break
        assert number < 3 * count, "the painter has nothing to paint"
    good.add(rig.send())
    wait_for(lambda: stamp_ns_of(shown[0].last) == max(good), 30.0)
    stamps = {stamp_ns_of(m) for listener in shown for m in listener.messages}
    assert stamps & spoilt == set()
    assert len(stamps & good) > len(good) // 2
    return spoilt
