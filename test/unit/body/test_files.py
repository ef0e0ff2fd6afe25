"""Body files: round trips, official layouts, and everything that can be wrong with a file."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ego_perception.body import files
from ego_perception.body.files import find_body_file, read_body_file, write_body
from ego_perception.body.model import BodyError, BodyModel, load_body
from ego_perception.body.skeleton import PARENTS
from ego_perception.errors import OutputError
from ego_perception.resources import models_dir

SHIPPED = models_dir() / "egobody.npz"


def arrays_of(body: BodyModel) -> dict[str, Any]:
    table = np.array([PARENTS, range(24)], dtype=np.int64) % (1 << 32)
    return {
        "v_template": body.v_template, "f": body.faces.astype(np.uint32), "shapedirs": body.shapedirs,
        "J_regressor": body.joint_regressor, "weights": body.weights, "kintree_table": table.astype(np.uint32),
    }  # fmt: skip


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return arrays_of(load_body())


def dump(path: Path, content: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def assert_same(a: BodyModel, b: BodyModel) -> None:
    for name in ("v_template", "faces", "shapedirs", "joint_regressor", "weights", "parents"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
def test_round_trip(tmp_path: Path, arrays: dict[str, Any], suffix: str) -> None:
    path = tmp_path / f"SMPL_NEUTRAL{suffix}"
    write_body(path, arrays)
    body = read_body_file(path)
    assert_same(body, load_body())
    assert body.posedirs is None, "zero correctives are left out"
    assert (body.name, len(body.sha256)) == ("SMPL_NEUTRAL", 64)
    assert not list(tmp_path.glob("*.part"))


def test_same_arrays_give_the_same_bytes(tmp_path: Path, arrays: dict[str, Any]) -> None:
    write_body(tmp_path / "a.npz", arrays)
    write_body(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("layout", "protocol"),
    [(layout, protocol) for layout in ("csc_matrix", "dense") for protocol in (0, 2, 4, 5)]
    + [(layout, 2) for layout in ("csr_matrix", "coo_matrix", "csc_array")],
)
def test_joint_regressors_of_every_layout(tmp_path: Path, arrays: dict[str, Any], layout: str, protocol: int) -> None:
    regressor = arrays["J_regressor"] if layout == "dense" else getattr(scipy.sparse, layout)(arrays["J_regressor"])
    small = arrays | {"J_regressor": regressor}
    assert_same(read_body_file(dump(tmp_path / "SMPL_MALE.pkl", small, protocol)), load_body())


def test_sparse_regressor_inside_an_npz(tmp_path: Path, arrays: dict[str, Any]) -> None:
    boxed = np.empty((), dtype=object)
    boxed[()] = scipy.sparse.csc_matrix(arrays["J_regressor"])
    np.savez(tmp_path / "SMPL_FEMALE.npz", **arrays | {"J_regressor": boxed})
    assert_same(read_body_file(tmp_path / "SMPL_FEMALE.npz"), load_body())


def test_chumpy_arrays_fortran_order_and_more_shape_directions(tmp_path: Path, arrays: dict[str, Any]) -> None:
    """Official pickles hold chumpy objects: plain ones keep `x`, re-ordered ones `a`, `idxs` and `preferred_shape`."""
    module = types.ModuleType("chumpy.ch")
    plain = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    chosen = type("Select", (), {"__module__": "chumpy.ch", "__qualname__": "Select"})
    module.Ch, module.Select = plain, chosen  # type: ignore[attr-defined]
    many, source = plain(), plain()
    many.x = np.asfortranarray(np.concatenate([arrays["shapedirs"], np.ones((6890, 3, 290))], axis=2))
    source.x = arrays["v_template"][::-1]
    picked = chosen()
    picked.a, picked.idxs, picked.preferred_shape = source, np.arange(6890 * 3).reshape(-1, 3)[::-1].ravel(), (6890, 3)
    sys.modules |= {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    try:
        path = dump(tmp_path / "SMPL_NEUTRAL.pkl", arrays | {"shapedirs": many, "v_template": picked})
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
    assert_same(read_body_file(path), load_body())


def test_pose_correctives_are_read(tmp_path: Path, arrays: dict[str, Any]) -> None:
    directions = np.zeros((6890, 3, 207), dtype=np.float32)
    directions[5, 1, 7] = 0.25
    np.savez_compressed(tmp_path / "body.npz", **arrays, posedirs=directions)
    body = read_body_file(tmp_path / "body.npz")
    assert body.posedirs is not None
    assert body.posedirs[5, 1, 7] == 0.25


def test_folder_of_official_files(tmp_path: Path) -> None:
    for name in ("SMPL_NEUTRAL.pkl", "basicmodel_m_lbs_10_207_0_v1.0.0.pkl", "basicModel_f_lbs_10_207_0_v1.0.0.pkl"):
        (tmp_path / name).write_bytes(b"")
    assert find_body_file(tmp_path, "neutral").name == "SMPL_NEUTRAL.pkl"
    assert find_body_file(tmp_path, "male").name.startswith("basicmodel_m")
    assert find_body_file(tmp_path, "female").name.startswith("basicModel_f")


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v_template": np.zeros((10475, 3))}, "'v_template' is (10475, 3)"),
        ({"weights": np.zeros((6890, 52))}, "SMPL-H model with 52 joints"),
        ({"weights": np.zeros((10475, 55))}, "SMPL-X model with 55 joints"),
        ({"weights": np.zeros((778, 16))}, "MANO model"),
        ({"shapedirs": np.zeros((6890, 3, 4))}, "'shapedirs'"),
        ({"v_template": np.full((6890, 3), np.nan)}, "not finite"),
        ({"v_template": np.full((6890, 3), "a")}, "not finite numbers"),
        ({"v_template": np.zeros((6890, 3))}, "across"),
        ({"weights": np.zeros((6890, 24))}, "do not sum to 1"),
        ({"J_regressor": np.zeros((24, 6890))}, "does not reproduce the joints"),
        ({"f": np.full((13776, 3), 6890)}, "vertices that do not exist"),
        ({"kintree_table": np.zeros((2, 24), dtype=np.int64)}, "not SMPL's tree"),
    ],
)  # fmt: skip
def test_wrong_content_is_named(tmp_path: Path, arrays: dict[str, Any], change: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays | change)
    with pytest.raises(BodyError) as error:
        read_body_file(tmp_path / "bad.npz")
    assert words in one_line(error)


@pytest.mark.parametrize("content", [{}, {"v_template": np.zeros((6890, 3))}, [1, 2], "text", None, 7])
def test_other_pickles(tmp_path: Path, content: Any) -> None:
    with pytest.raises(BodyError, match=r"is not an SMPL body|is damaged or not a \.pkl"):
        read_body_file(dump(tmp_path / "other.pkl", content))


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no zip")
    (tmp_path / "a.pkl").write_bytes(b"")
    (tmp_path / "a.obj").write_bytes(b"v 0 0 0")
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    for name, words in (
        ("a.npz", "damaged"),
        ("a.pkl", "damaged"),
        ("a.obj", "ends in '.obj'"),
        ("b.npz", "has no v_template"),
    ):
        with pytest.raises(BodyError) as error:
            load_body(tmp_path / name)
        assert words in one_line(error)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", bytes(2 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 13
    with pytest.raises(BodyError, match="more than 1 GiB"):
        read_body_file(tmp_path / "bomb.npz")


class Evil:
    """Runs something when a normal unpickler meets it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def evil_payloads(trace: Path) -> list[Any]:
    mark = f"open({str(trace)!r}, 'w').close()"
    return [
        Evil(os.system, f"touch {trace}"),
        Evil(eval, mark),
        Evil(exec, mark),
        Evil(subprocess.call, ["touch", str(trace)]),
        Evil(__import__, "antigravity"),
        Evil(getattr, "text", "upper"),
        Evil(np.load, str(trace)),
        Evil(open, str(trace), "w"),
        Evil(Path.touch, trace),
        Evil(pickle.loads, b"N."),
        collections.OrderedDict(a=Evil(eval, mark)),
        Evil(scipy.sparse.load_npz, str(trace)),
    ]


@pytest.mark.parametrize("index", range(12))
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_code_is_refused_and_not_run(tmp_path: Path, arrays: dict[str, Any], index: int, protocol: int) -> None:
    trace = tmp_path / "ran"
    evil = evil_payloads(trace)[index]
    path = dump(tmp_path / "evil.pkl", {"v_template": np.zeros(3), "extra": evil}, protocol)
    with pytest.raises(BodyError, match="refused, do not trust it") as error:
        load_body(path)
    assert len(one_line(error)) < 400
    boxed = np.empty(1, dtype=object)
    boxed[0] = evil
    np.savez(tmp_path / "evil.npz", **{"v_template": boxed})
    with pytest.raises(BodyError, match="refused, do not trust it"):
        load_body(tmp_path / "evil.npz")
    assert not trace.exists()


@pytest.mark.parametrize(
    "code", [b"cos\nsystem\n(S'touch ran'\ntR.", b"(S'touch ran'\nios\nsystem\n.", b"\x80\x02cnumpy\nload\n."]
)
def test_handwritten_payloads(tmp_path: Path, code: bytes) -> None:
    (tmp_path / "evil.pkl").write_bytes(code)
    with pytest.raises(BodyError, match="refused"):
        load_body(tmp_path / "evil.pkl")


@pytest.fixture(scope="module")
def pickled(arrays: dict[str, Any]) -> bytes:
    """A small pickle with every kind of part: the arrays are cut, which is noticed last."""
    few = {key: value[:2] for key, value in arrays.items()} | {
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"][:2, :9])
    }
    return pickle.dumps(few, protocol=2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), cut=st.booleans())
def test_damaged_pickles_give_one_error(tmp_path: Path, pickled: bytes, where: float, bits: int, cut: bool) -> None:
    place = int(where * len(pickled))
    content = bytearray(pickled[:place] if cut else pickled)
    if not cut:
        content[place] ^= bits
    (tmp_path / "body.pkl").write_bytes(content)
    with pytest.raises(BodyError) as error:
        read_body_file(tmp_path / "body.pkl")
    one_line(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True))
def test_truncated_shipped_file_is_never_taken_for_whole(tmp_path: Path, where: float) -> None:
    content = SHIPPED.read_bytes()
    (tmp_path / "body.npz").write_bytes(content[: int(where * len(content))])
    with pytest.raises(BodyError) as error:
        read_body_file(tmp_path / "body.npz")
    one_line(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_flipped_bytes_of_the_shipped_file_are_noticed_or_harmless(tmp_path: Path, where: float, bits: int) -> None:
    content = bytearray(SHIPPED.read_bytes())
    content[int(where * len(content))] ^= bits
    (tmp_path / "body.npz").write_bytes(content)
    try:
        body = read_body_file(tmp_path / "body.npz")
    except BodyError as error:
        assert "\n" not in str(error)
    else:
        # Only the headers of the zip have no checksum; what was read is right.
        assert_same(body, load_body())


def test_unwritable_places_and_names(tmp_path: Path, arrays: dict[str, Any]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        write_body(tmp_path / "file" / "body.npz", {"f": np.zeros(1)})
    with pytest.raises(BodyError, match=r"ends in '\.obj'"):
        write_body(tmp_path / "body.obj", arrays)
