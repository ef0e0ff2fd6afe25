"""The prior at work: equal to torch, true to the camera, safe with bad files, and better than a constant on real images."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ego_perception.errors import ConfigError, WeightsError
from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction.model import DepthNetwork
from ego_perception.reconstruction.network import DEPTH_NETWORK, DepthNetworkPrior, load_prior
from ego_perception.reconstruction.prior import PriorPrediction
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig, network_size
from ego_perception.weights import WeightsInfo
from ego_perception.weights.onnx import cache_folder, export_onnx
from ego_perception.weights.runtime import TorchNetwork
from ego_perception.weights.store import save_weights

SMALL = NetworkConfig(stem=8, widths=(8, 8, 16, 16), counts=(1, 1, 1, 1), decoder=(16, 16, 8, 8, 8), area=64 * 48)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "xdg"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with statistics far from their initial values."""
    torch.manual_seed(0)
    network = DepthNetwork(SMALL).train()
    for _ in range(3):
        network(torch.rand(4, 3, 48, 64))
    network.depth_gain.fill_(1.3)
    path = tmp_path_factory.mktemp("net") / "small.safetensors"
    save_weights(path, network.state_dict(), WeightsInfo(KIND, VERSION, dataclasses.asdict(SMALL)))
    return path


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def focal_px(prediction: PriorPrediction, height: int) -> float:
    return 0.5 * height / math.tan(0.5 * prediction.fov_y_rad)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (120, 160)])
def test_onnx_equals_torch(weights: Path, size: tuple[int, int]) -> None:
    width, height = network_size(*size, SMALL.area)
    image = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    onnx = load_prior(weights).backend.run(image)
    with torch.no_grad():
        reference = DEPTH_NETWORK.module(weights)(torch.from_numpy(image))
    for ours, theirs in zip(onnx, reference, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_torch_backend_equals_onnx(weights: Path) -> None:
    rgb = picture(320, 240)
    onnx = load_prior(weights).predict(rgb, None)
    eager = DepthNetworkPrior(SMALL, TorchNetwork(lambda: DEPTH_NETWORK.module(weights), "cpu"), "x").predict(rgb, None)
    np.testing.assert_allclose(onnx.depth, eager.depth, rtol=1e-3)
    np.testing.assert_allclose(onnx.sigma, eager.sigma, rtol=1e-3)
    assert onnx.fov_y_rad == pytest.approx(eager.fov_y_rad, rel=1e-4)


@pytest.mark.parametrize("size", [(640, 480), (456, 256), (1920, 1080), (96, 128), (3, 2), (1, 1)])
def test_any_size_gives_finite_positive_depth(weights: Path, size: tuple[int, int]) -> None:
    prediction = load_prior(weights).predict(picture(*size), None)
    width, height = network_size(*size, SMALL.area)
    for field in (prediction.depth, prediction.sigma):
        assert field.shape == (height, width) and field.dtype == np.float32
        assert bool(np.isfinite(field).all()) and bool((field > 0).all())
    assert 0 < prediction.fov_y_rad < math.pi
    assert prediction.fov_sigma > 0


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_saturated_images(weights: Path, value: int) -> None:
    prediction = load_prior(weights).predict(np.full((48, 64, 3), value, np.uint8), None)
    assert bool(np.isfinite(prediction.depth).all()) and bool((prediction.depth > 0).all())


def test_read_only_and_strided_images(weights: Path) -> None:
    rgb = picture(128, 96)
    rgb.setflags(write=False)
    prior = load_prior(weights)
    reversed_view = np.ascontiguousarray(rgb[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_array_equal(prior.predict(rgb, None).depth, prior.predict(reversed_view, None).depth)


def test_depth_is_proportional_to_the_given_focal_length(weights: Path) -> None:
    """The law of the canonical camera."""
    prior, rgb = load_prior(weights), picture(640, 480)
    camera = PinholeCamera.from_fov(640, 480, 0.9)
    near, far = (prior.predict(rgb, camera.with_focal(s)) for s in (1.0, 1.7))
    np.testing.assert_allclose(far.depth, 1.7 * near.depth, rtol=1e-5)
    np.testing.assert_array_equal(far.sigma, near.sigma)
    assert far.fov_y_rad == near.fov_y_rad


def test_a_resized_camera_changes_nothing(weights: Path) -> None:
    prior, rgb = load_prior(weights), picture(640, 480)
    camera = PinholeCamera.from_fov(640, 480, 0.9)
    a, b = prior.predict(rgb, camera), prior.predict(rgb, camera.resized(320, 240))
    np.testing.assert_allclose(a.depth, b.depth, rtol=1e-5)


def test_without_a_camera_the_own_guess_is_used(weights: Path) -> None:
    prior, rgb = load_prior(weights), picture(640, 480)
    guess = prior.predict(rgb, None)
    told = prior.predict(rgb, PinholeCamera.from_fov(640, 480, guess.fov_y_rad))
    np.testing.assert_allclose(guess.depth, told.depth, rtol=1e-4)


def test_predictions_repeat_to_the_bit(weights: Path) -> None:
    rgb = picture(320, 240)
    a, b = (load_prior(weights).predict(rgb, None) for _ in range(2))
    np.testing.assert_array_equal(a.depth, b.depth)
    assert a.fov_y_rad == b.fov_y_rad


def test_cache_is_used_keyed_by_content_and_repaired(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shape = (1, 3, 48, 64)
    file = load_prior(weights).backend.cached(shape)
    assert file.parent == tmp_path / "ego_perception"
    stamp = file.stat().st_mtime_ns
    assert load_prior(weights).backend.cached(shape).stat().st_mtime_ns == stamp
    other = tmp_path / "other.safetensors"
    save_weights(other, DepthNetwork(SMALL).state_dict(), WeightsInfo(KIND, VERSION, dataclasses.asdict(SMALL)))
    assert load_prior(other).backend.cached(shape) != file
    file.write_bytes(file.read_bytes()[:1000])
    prediction = load_prior(weights).predict(picture(64, 48), None)
    assert bool(np.isfinite(prediction.depth).all())
    assert file.stat().st_size > 1000
    assert not list(file.parent.glob("*.part"))


def test_cache_folder_follows_the_desktop_specification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == tmp_path / ".cache" / "ego_perception"


def test_unwritable_cache_says_what_to_do(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(WeightsError, match="set XDG_CACHE_HOME"):
        export_onnx(DEPTH_NETWORK.module(weights), tmp_path / "blocked" / "x.onnx", [(1, 3, 48, 64)], ["image"], ["depth"])


def test_a_warm_start_needs_no_torch(weights: Path, own_cache: Path) -> None:
    """The node's process must not pay for torch once the network is exported."""
    load_prior(weights).predict(picture(64, 48), None)
    code = (
        "import sys, numpy as np; from pathlib import Path; from ego_perception.reconstruction.network import load_prior; "
        f"load_prior(Path({str(weights)!r})).predict(np.zeros((48, 64, 3), np.uint8), None); "
        "sys.exit('torch' in sys.modules)"
    )
    environment = {"XDG_CACHE_HOME": str(own_cache), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=False).returncode == 0


def test_wrong_files_and_devices(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="are missing"):
        load_prior(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_prior(tmp_path / "cut.safetensors")
    save_weights(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, WeightsInfo("hands", 1))
    with pytest.raises(WeightsError, match="holds 'hands' weights"):
        load_prior(tmp_path / "other.safetensors")
    wide = dataclasses.replace(SMALL, stem=16)
    save_weights(
        tmp_path / "lies.safetensors", DepthNetwork(SMALL).state_dict(), WeightsInfo(KIND, VERSION, dataclasses.asdict(wide))
    )
    with pytest.raises(WeightsError, match=r"'stem.0.weight' is \(8, 3, 3, 3\), not \(16, 3, 3, 3\)"):
        load_prior(tmp_path / "lies.safetensors").predict(picture(64, 48), None)
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        load_prior(weights, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="sees no GPU"):
            load_prior(weights, device="cuda")


def ratios(prediction: PriorPrediction, depth_mm: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Truth over prediction at every fourth pixel with a truth between 0.1 and 10 m."""
    height, width = depth_mm.shape
    truth = depth_mm[::4, ::4] / 1000.0
    predicted = cv2.resize(prediction.depth, (width, height), interpolation=cv2.INTER_LINEAR)[::4, ::4]
    valid = (truth > 0.1) & (truth < 10.0)
    return np.asarray(truth[valid] / predicted[valid], np.float64)


def score(ratio: NDArray[np.float64]) -> tuple[float, float, float]:
    """AbsRel and share within 1.25 after one scale for all pixels, and that scale."""
    scale = float(np.median(ratio))
    scaled = scale / ratio
    return float(np.abs(scaled - 1).mean()), float((np.maximum(scaled, 1 / scaled) < 1.25).mean()), scale


def test_real_kitchen(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One scale per clip; a constant depth scores 0.30 / 41 %."""
    prior, camera = load_prior(), PinholeCamera(640, 480, 585, 585, 320, 240)
    found, focals = [], []
    for file in sorted(kitchen.glob("*.color.jpg"))[::5]:
        image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        prediction = prior.predict(np.asarray(image, np.uint8), camera)
        found.append(ratios(prediction, cv2.imread(str(file).replace("color.jpg", "depth.png"), cv2.IMREAD_UNCHANGED)))
        focals.append(focal_px(prediction, 480))
    abs_rel, delta, scale = score(np.concatenate(found))
    with capsys.disabled():
        focal = f"focal {np.median(focals):.0f} of 585 px"
        print(f"\nkitchen: AbsRel {abs_rel:.3f}, delta1 {delta:.1%}, metric scale {scale:.2f}, {focal}")
    assert abs_rel < 0.27
    assert delta > 0.46
    assert 0.6 < scale < 1.6
    assert 0.7 < float(np.median(focals)) / 585 < 1.4


def test_real_nyu_image(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "nyu_rgbd"
    image = cv2.cvtColor(cv2.imread(str(next(folder.glob("*.jpg")))), cv2.COLOR_BGR2RGB)
    depth = cv2.imread(str(next(folder.glob("*depth*.png"))), cv2.IMREAD_UNCHANGED)
    prediction = load_prior().predict(np.asarray(image, np.uint8), PinholeCamera(640, 480, 518.86, 519.47, 325.58, 253.74))
    abs_rel, delta, scale = score(ratios(prediction, depth))
    with capsys.disabled():
        print(f"\nnyu: AbsRel {abs_rel:.3f}, delta1 {delta:.1%}, metric scale {scale:.2f}")
    # One image proves little: a constant scores 0.195 here, and the network takes the white panel for a window.
    assert abs_rel < 0.40
    assert 0.4 < scale < 2.5
