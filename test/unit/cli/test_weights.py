"""`ego weights`: the list, the check, the export, and entering a trained file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ego_perception.cli.weights import app
from ego_perception.errors import ConfigError, WeightsError
from ego_perception.parameters import to_dict
from ego_perception.reconstruction.model import DepthNetwork
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig
from ego_perception.reconstruction.training import DepthTrainConfig
from ego_perception.weights import WeightsInfo, read_manifest
from ego_perception.weights.store import save_weights

SMALL = NetworkConfig(stem=8, widths=(8, 8, 16, 16), counts=(1, 1, 1, 1), decoder=(16, 16, 8, 8, 8), area=64 * 48)


def run(*arguments: str) -> str:
    """Run the verb and return what it printed; expected errors are raised."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    training = {"parameters": to_dict(DepthTrainConfig()), "steps": 10, "images": 160, "rooms": 3}
    info = WeightsInfo(KIND, VERSION, dataclasses.asdict(SMALL), training, {"abs_rel": 0.25})
    save_weights(path, DepthNetwork(SMALL).state_dict(), info, half=True)
    return path


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    run("enter", str(trained), "--models", str(tmp_path / "models"))
    return tmp_path / "models"


def test_entering_describes_the_file(models: Path, trained: Path) -> None:
    (entry,) = read_manifest(models)
    assert (entry.name, entry.file, entry.licence) == (KIND, "reconstruction_depth.safetensors", "Apache-2.0")
    assert entry.command == "ego train reconstruction --rooms 3 --steps 16000 --seed 0"
    assert entry.data.startswith("EgoSim, split train, 3 rooms")
    assert entry.metrics == {"abs_rel": 0.25}
    assert (models / entry.file).read_bytes() == trained.read_bytes()


def test_entering_again_replaces(models: Path, trained: Path) -> None:
    run("enter", str(trained), "--models", str(models))
    assert len(read_manifest(models)) == 1


def test_only_known_and_small_files_can_ship(tmp_path: Path) -> None:
    save_weights(tmp_path / "a.safetensors", {"a": torch.zeros(1)}, WeightsInfo("hands", 1))
    with pytest.raises(WeightsError, match=r"only reconstruction-depth, hand-s.* can ship"):
        run("enter", str(tmp_path / "a.safetensors"), "--models", str(tmp_path))
    save_weights(tmp_path / "b.safetensors", {"a": torch.zeros(1 << 21)}, WeightsInfo(KIND, VERSION))
    with pytest.raises(WeightsError, match="shipped weights have at most"):
        run("enter", str(tmp_path / "b.safetensors"), "--models", str(tmp_path))


def test_list_and_verify(models: Path) -> None:
    listing = run("list", "--models", str(models))
    assert KIND in listing and "Apache-2.0" in listing
    assert run("verify", "--models", str(models)).startswith(f"ok  {KIND}")
    with pytest.raises(WeightsError, match="no weights named 'x'"):
        run("verify", "x", "--models", str(models))


def test_verify_finds_damage(models: Path) -> None:
    file = models / "reconstruction_depth.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x55")
    with pytest.raises(WeightsError, match="SHA-256"):
        run("verify", "--models", str(models))


def test_export_writes_a_network_that_runs(models: Path, tmp_path: Path) -> None:
    import onnxruntime

    out = tmp_path / "net.onnx"
    assert "(1, 3, 40, 72)" in run("export", KIND, "-o", str(out), "--size", "1920x1080", "--models", str(models))
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    depth = session.run(["log_depth"], {"image": np.zeros((1, 3, 40, 72), np.float32)})[0]
    assert depth.shape == (1, 20, 36)


def test_export_takes_a_file(trained: Path, tmp_path: Path) -> None:
    run("export", str(trained), "-o", str(tmp_path / "net.onnx"))
    assert (tmp_path / "net.onnx").stat().st_size > 1000


def test_the_networks_of_hand_removal_can_be_exported(tmp_path: Path) -> None:
    import onnxruntime

    from ego_perception.hand_removal.fill.model import FillNetwork
    from ego_perception.hand_removal.fill.network import FILL_NETWORK
    from ego_perception.hand_removal.fill.sizes import PLANES, FillConfig
    from ego_perception.hand_removal.segmentation.model import HandSegmenter
    from ego_perception.hand_removal.segmentation.network import HAND_SEGMENTER
    from ego_perception.hand_removal.segmentation.sizes import SegmenterConfig

    hands = SegmenterConfig(stem=8, widths=(8, 8, 8, 8), counts=(1, 1, 1, 1), decoder=(8, 8, 8, 8, 8), width=64)
    fill = FillConfig(widths=(8, 8, 8, 8), blocks=(1, 1, 1))
    for network, module, config, size, shape in (
        (HAND_SEGMENTER, HandSegmenter(hands), hands, "640x480", (1, 3, 64, 64)),
        (FILL_NETWORK, FillNetwork(fill), fill, "64x32", (1, PLANES, 32, 64)),
    ):
        path, out = tmp_path / f"{network.name}.safetensors", tmp_path / f"{network.name}.onnx"
        info = WeightsInfo(kind=network.name, version=network.version, config=dataclasses.asdict(config))
        save_weights(path, module.state_dict(), info)
        assert str(shape) in run("export", str(path), "-o", str(out), "--size", size)
        session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        assert [i.name for i in session.get_inputs()] == list(network.inputs)
        given = np.random.default_rng(0).random(shape, np.float32)
        with torch.no_grad():
            expected = network.module(path)(torch.from_numpy(given))
        first = (expected if isinstance(expected, torch.Tensor) else expected[0]).numpy()
        np.testing.assert_allclose(session.run(None, {network.inputs[0]: given})[0], first, atol=1e-4)


def test_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="action is 'fetch'; choose one of list, verify, export, import, enter"):
        run("fetch")
    with pytest.raises(ConfigError, match="needs a name or file"):
        run("export")
    with pytest.raises(ConfigError, match="size is '0x5'"):
        run("export", str(tmp_path / "x.safetensors"), "--size", "0x5")
