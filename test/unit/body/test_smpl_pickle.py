"""The restricted reader: what it rebuilds, what it refuses, what it finds contradictory."""

from __future__ import annotations

import datetime
import decimal
import io
import pickle
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from ego_perception.body.smpl_pickle import PickleRefusedError, Record, as_array, read_pickle


def through(value: Any, protocol: int = 2) -> Any:
    return read_pickle(io.BytesIO(pickle.dumps(value, protocol=protocol)))


def record(what: str, *args: Any, state: Any = None) -> Record:
    """What the reader makes of a class or function of that name."""
    made = type("Record", (Record,), {"what": what})(*args)
    made.state = state
    return made


DTYPES = st.sampled_from(["<f4", "<f8", ">f8", "<i4", ">i4", "<i8", "<u4", "|u1", "|b1", "<u2"])


@settings(max_examples=80, deadline=None)
@given(
    value=DTYPES.flatmap(lambda kind: nps.arrays(np.dtype(kind), nps.array_shapes(max_dims=3, max_side=5))),
    protocol=st.integers(0, 5),
    fortran=st.booleans(),
)
def test_arrays_come_back(value: np.ndarray, protocol: int, fortran: bool) -> None:
    stored = np.asfortranarray(value) if fortran else value
    again = as_array(through(stored, protocol))
    assert again.shape == value.shape
    assert again.dtype == value.dtype
    assert np.array_equal(again, value, equal_nan=value.dtype.kind == "f")


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from(["csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array"]),
    seed=st.integers(0, 1000),
    protocol=st.integers(0, 5),
)
def test_sparse_matrices_come_back(layout: str, seed: int, protocol: int) -> None:
    dense = np.random.default_rng(seed).integers(-2, 3, (4, 7)).astype(float)
    assert np.array_equal(as_array(through(getattr(scipy.sparse, layout)(dense), protocol)), dense)


def test_plain_content_needs_no_class() -> None:
    content = {"a": [1, 2.5, "x", None, True], "b": (b"raw", {"c": 2**70})}
    for protocol in range(2, 6):
        assert through({"a": content["a"]}, protocol) == {"a": content["a"]}
    assert as_array([1, 2, 3]).tolist() == [1.0, 2.0, 3.0]
    ready = np.arange(3)
    assert as_array(ready) is ready


@pytest.mark.parametrize(
    "value",
    [
        datetime.date(2020, 1, 1), decimal.Decimal(1), slice(1, 2), print, np.float64(1.0), np.random.default_rng(0),
        complex(1, 2),
        np.array, scipy.sparse.load_npz, pickle.loads, range(3), np.ma.array([1]), Exception("x"), PurePosixPath("x"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_by_name(value: Any) -> None:
    for protocol in (0, 2, 5):
        with pytest.raises(PickleRefusedError, match=r"\w+\.\w+"):
            through({"x": value}, protocol)


def test_names_that_look_alike_are_refused() -> None:
    for module, name in (("scipy.sparse", "eye"), ("numpy", "load"), ("chumpyevil", "Ch"), ("numpy.core.multiarray", "scalar")):
        with pytest.raises(PickleRefusedError, match=name):
            read_pickle(io.BytesIO(f"c{module}\n{name}\n.".encode()))


def test_chumpy_names_build_nothing_but_records() -> None:
    made = read_pickle(io.BytesIO(b"cchumpy.ch\nanything\n(S'argument'\ntR."))
    assert isinstance(made, Record)
    assert made.args == ("argument",)
    with pytest.raises(ValueError, match="without content"):
        as_array(made)


@pytest.mark.parametrize(
    "content", [b"", b".", b"(", b"N", b"\x80\x09N.", b"garbage", b"I12x\n.", b"r\xff\xff\xff\xff.", b"]r\xff\xff\xff\x7f."]
)
def test_damage_is_a_value_error(content: bytes) -> None:
    try:
        result = read_pickle(io.BytesIO(content))
    except ValueError as error:
        assert "pickle cannot be read" in str(error)
    else:
        assert result == [], "a memo index of two billion costs no memory"


FLOATS = record("dtype", "f8", 0, 1, state=(3, "<", None, None, None, -1, -1, 0))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "a str stands where"),
        (None, "a NoneType stands where"),
        (record("dtype", "f8"), "without content"),
        (record("csc_matrix", state={}), "no usable shape"),
        (record("csc_matrix", state={"_shape": (1 << 20, 1 << 20)}), "no usable shape"),
        (record("csc_matrix", state={"_shape": (2, 2)}), "stands where"),
        (record("chumpy", state={"y": 1}), "without numbers"),
        (record("ndarray", state={"x": 1}), "a ndarray stands where"),
        (record("_reconstruct"), "has no content"),
        (record("_reconstruct", state=(1, "shape", FLOATS, False, b"")), "has no shape"),
        (record("_reconstruct", state=(1, (-1,), FLOATS, False, b"")), "has no shape"),
        (record("_reconstruct", state=(1, (3,), FLOATS, False, b"12345678")), "has 8 bytes"),
        (record("_reconstruct", state=(1, (10**9, 10**9, 10**9), FLOATS, False, b"")), "has 0 bytes"),
        (record("_reconstruct", state=(1, (1,), FLOATS, False, 12345678)), "has no bytes"),
        (record("_reconstruct", state=(1, (1,), record("dtype", "O8"), False, b"12345678")), "something else than numbers"),
        (record("_reconstruct", state=(1, (1,), "f8", False, b"12345678")), "something else than numbers"),
    ],
)
def test_contradictions_are_value_errors(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_array(value)


def test_sparse_matrices_that_point_outside() -> None:
    ones, low = np.ones(2), np.array([0, 1])
    for state in (
        {"_shape": (2, 2), "data": ones, "indices": np.array([0, 5]), "indptr": np.array([0, 1, 2])},
        {"_shape": (2, 2), "data": ones, "indices": np.array([0, -1]), "indptr": np.array([0, 1, 2])},
        {"_shape": (2, 1), "data": ones, "indices": low, "indptr": np.array([0, 1, 2])},
    ):
        with pytest.raises(ValueError, match="outside its shape"):
            as_array(record("csc_matrix", state=state))
    with pytest.raises(ValueError, match="is damaged"):
        as_array(
            record("csc_matrix", state={"_shape": (2, 2), "data": np.ones(3), "indices": low, "indptr": np.array([0, 1, 2])})
        )
    with pytest.raises(ValueError, match="is damaged"):
        as_array(record("coo_matrix", state={"_shape": (2, 2), "data": np.ones(3), "row": low, "col": low}))


def test_nesting_without_end_stops() -> None:
    loop = record("chumpy")
    loop.state = {"x": loop}
    with pytest.raises(ValueError, match="too deeply"):
        as_array(loop)


def test_selections_of_chumpy() -> None:
    source = record("chumpy", state={"x": np.arange(6.0)})
    flat = record("chumpy", state={"a": source, "idxs": np.array([5, 0])})
    assert as_array(flat).tolist() == [5.0, 0.0]
    shaped = record("chumpy", state={"a": source, "idxs": np.arange(6), "preferred_shape": (3, 2)})
    assert as_array(shaped).tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
