"""Published checkpoints in, weight files out: what is taken, what is refused, and what the user is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.random_weights import numbers
from fixtures.vidm_models import TINY, checkpoint
from torch import Tensor
from typer.testing import CliRunner

from ego_perception.cli.weights import app
from ego_perception.errors import ConfigError, EgoPerceptionError, WeightsError
from ego_perception.hand_removal.vidm import importer
from ego_perception.hand_removal.vidm.importer import import_checkpoint
from ego_perception.hand_removal.vidm.model import Vidm, load_vidm
from ego_perception.hand_removal.vidm.sizes import KIND, LDM_KIND, VidmSizes
from ego_perception.weights import WeightsInfo, read_info, sha256_of
from ego_perception.weights.store import save_weights

State = dict[str, Tensor]
TINY_SINGLE = replace(TINY, frames=1)
AVERAGE = "model_ema.diffusion_modelinput_blocks00weight"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    torch.save(checkpoint(TINY), tmp_path / "nohands_weights.ckpt")
    return tmp_path / "nohands_weights.ckpt"


def test_a_checkpoint_becomes_a_model(published: Path, tiny: Vidm, tmp_path: Path) -> None:
    report = import_checkpoint(KIND, published, tmp_path / "vidm.safetensors", sizes=TINY)
    model = load_vidm(tmp_path / "vidm.safetensors")
    expected = tiny.state_dict()
    for name, value in model.state_dict().items():
        factor = 1.5 if name.startswith("unet.") else 1.0  # the fixture's moving averages
        assert torch.equal(value, factor * expected[name]), name
    assert not model.training and model.sizes == TINY
    info = read_info(tmp_path / "vidm.safetensors", KIND)
    assert info.training == {
        "checkpoint": "nohands_weights.ckpt",
        "sha256": sha256_of(published),
        "weights": "moving average",
    }
    assert report.is_published is False and not (report.missing or report.unexpected or report.wrong)


def test_every_key_has_an_entry(published: Path, tmp_path: Path) -> None:
    report = import_checkpoint(KIND, published, tmp_path / "vidm.safetensors", sizes=TINY)
    names = set(torch.load(published, weights_only=True)["state_dict"])
    assert set(report.taken) | set(report.skipped) == names and not set(report.taken) & set(report.skipped)
    unet, first = (sum(name.startswith(prefix) for name in names) for prefix in ("model.", "first_stage_model."))
    assert len(report.taken) == unet + first and AVERAGE in report.taken
    stored = json.loads((tmp_path / "vidm.import.json").read_text(encoding="utf-8"))
    assert stored["taken"][AVERAGE] == "unet.input_blocks.0.0.weight"
    assert stored["skipped"]["betas"] == "noise schedule, computed here"
    text = "\n".join(report.lines())
    assert f"taken {unet + first} tensors" in text and f"skipped {first}: second copy of the first stage" in text
    assert "NOT the published file" in text


def test_raw_weights_can_be_taken(published: Path, tiny: Vidm, tmp_path: Path) -> None:
    import_checkpoint(KIND, published, tmp_path / "raw.safetensors", sizes=TINY, is_raw=True)
    state = load_vidm(tmp_path / "raw.safetensors").state_dict()
    assert all(torch.equal(value, tiny.state_dict()[name]) for name, value in state.items())


def test_the_single_frame_model(tmp_path: Path) -> None:
    torch.save(checkpoint(TINY_SINGLE), tmp_path / "last.ckpt")
    report = import_checkpoint(LDM_KIND, tmp_path / "last.ckpt", tmp_path / "ldm.safetensors", sizes=TINY_SINGLE)
    assert report.is_published is None
    model = load_vidm(tmp_path / "ldm.safetensors")
    assert model.sizes.frames == 1
    assert model.unet(numbers("x", (1, 1, 7, 8, 8)), torch.tensor([5])).shape == (1, 3, 8, 8)


def test_kinds_are_not_confused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is no ldm-inpainting checkpoint: .*missing.* more"):
        import_checkpoint(LDM_KIND, published, tmp_path / "x.safetensors", sizes=TINY_SINGLE)
    with pytest.raises(ConfigError, match="kind is 'sd'; choose one of vidm, ldm-inpainting"):
        import_checkpoint("sd", published, tmp_path / "x.safetensors")
    assert not list(tmp_path.glob("x.*"))


def drop(name: str) -> Callable[[State], None]:
    return lambda state: state.__delitem__(name)


def put(name: str, value: Tensor) -> Callable[[State], None]:
    return lambda state: state.__setitem__(name, value)


def spoil(name: str, at: float) -> Callable[[State], None]:
    return lambda state: state[name].view(-1)[:1].fill_(at) and None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop(AVERAGE), "'model_ema.diffusion_modelinput_blocks00weight' is missing"),
        (drop("betas"), "'betas' is missing"),
        (
            put("model.diffusion_model.label_emb.weight", torch.zeros(2)),
            "'model.diffusion_model.label_emb.weight' is unexpected",
        ),
        (
            put("first_stage_model.quant_conv.bias", torch.zeros(4)),
            r"quant_conv.bias' is \(4,\), not \(3,\)",
        ),
        (put("first_stage_model.quant_conv.bias", torch.zeros(3, dtype=torch.int64)), "of type torch.int64"),
        (spoil(AVERAGE, float("nan")), "holds numbers that are not finite"),
        (spoil("first_stage_model.quant_conv.bias", float("inf")), "not finite"),
        (put("betas", torch.linspace(1e-4, 0.02, 1000)), "another noise schedule"),
        (put("betas", torch.full((1000,), float("nan"))), "another noise schedule"),
        (spoil("cond_stage_model.first_stage_model.quant_conv.bias", 9.0), "should be a copy"),
    ],
)
def test_other_layouts_and_contents_are_refused(change: Callable[[State], None], message: str, tmp_path: Path) -> None:
    content: dict[str, Any] = checkpoint(TINY)
    change(content["state_dict"])
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(WeightsError, match=message) as caught:
        import_checkpoint(KIND, tmp_path / "x.ckpt", tmp_path / "out.safetensors", sizes=TINY)
    assert "\n" not in str(caught.value) and not (tmp_path / "out.safetensors").exists()


def test_a_checkpoint_of_the_wrong_size_is_refused(published: Path, tmp_path: Path) -> None:
    """The tiny file against the published layout: what a user gets who imports some other model."""
    with pytest.raises(WeightsError, match=r"is no vidm checkpoint: '.*' is missing \(a tensor of shape .*and \d+ more"):
        import_checkpoint(KIND, published, tmp_path / "out.safetensors")


def test_truncated_checkpoints_are_refused(published: Path, tmp_path: Path) -> None:
    data = published.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.ckpt").write_bytes(data[: int(share * len(data))])
        with pytest.raises(WeightsError, match=r"cut\.ckpt"):
            import_checkpoint(KIND, tmp_path / "cut.ckpt", tmp_path / "out.safetensors", sizes=TINY)


def test_weight_files_of_another_kind_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(path, {"a": torch.zeros(1)}, WeightsInfo("reconstruction-depth", 1))
    with pytest.raises(WeightsError, match="holds 'reconstruction-depth' weights but 'vidm' or 'ldm-inpainting'"):
        load_vidm(path)
    save_weights(path, {"a": torch.zeros(1)}, WeightsInfo(KIND, 1, TINY.to_dict()))
    with pytest.raises(WeightsError, match="does not fit the network"):
        load_vidm(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 3}, "declares the sizes"),
        ({"width": -1}, "not positive integers"),
        ({"width": "32"}, "not positive integers"),
        ({"width": 48}, "multiples of 32"),
        ({"heads": 7}, "multiples of 32 and of the heads"),
        ({"first_stage_widths": [32, 32]}, "three levels"),
    ],
)
def test_sizes_that_no_network_has(change: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        VidmSizes.from_dict({**TINY.to_dict(), **change}, Path("x.safetensors"))
    assert VidmSizes.from_dict(TINY.to_dict(), Path("x.safetensors")) == TINY


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, EgoPerceptionError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "_SIZES", {KIND: TINY, LDM_KIND: TINY_SINGLE})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = run("import", "vidm", str(published))
    target = tmp_path / "cache" / "ego_perception" / "vidm.safetensors"
    assert str(target) in text.replace("\n", "") and "research only" in text and "missing 0, unexpected 0" in text
    assert load_vidm(target).sizes == TINY
    run("import", "vidm", str(published), "-o", str(tmp_path / "mine.safetensors"))
    assert sha256_of(tmp_path / "mine.safetensors") == sha256_of(target)
    assert "ldm-inpainting  not shipped" in run("list")


def test_the_command_used_wrongly(published: Path) -> None:
    for arguments in (("import",), ("import", "vidm"), ("import", "sdxl", str(published))):
        with pytest.raises(ConfigError, match="takes one of vidm, ldm-inpainting and the checkpoint"):
            run(*arguments)
    with pytest.raises(WeightsError, match="is missing; check the path"):
        run("import", "vidm", "nowhere.ckpt")
