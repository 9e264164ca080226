"""V2 tensors on plain values: what comes in is checked, what goes out comes back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from predictors.contract.tensors import (
    DTYPES,
    Tensor,
    json_data,
    parse_raw_tensor,
    parse_tensor,
    raw_elements,
)
from predictors.errors import InvalidRequest

NUMBERS = [datatype for datatype in DTYPES if datatype != "BYTES"]


@pytest.mark.parametrize("datatype", NUMBERS)
@given(st.data())
def test_numbers_survive_json_and_raw_bytes(datatype: str, data: st.DataObject) -> None:
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    finite = {"allow_nan": False} if DTYPES[datatype].kind == "f" else {}
    values = data.draw(
        arrays.arrays(
            DTYPES[datatype], shapes, elements=arrays.from_dtype(DTYPES[datatype], **finite)
        )
    )
    tensor = Tensor.of(values)
    raw = parse_raw_tensor("x", datatype, values.shape, values.tobytes())
    for found in (parse_tensor("x", datatype, values.shape, json_data(tensor)), raw):
        assert found.datatype == tensor.datatype == datatype
        assert found.values.dtype == values.dtype
        np.testing.assert_array_equal(found.values, values)


@given(st.lists(st.binary()))
def test_bytes_survive_raw_contents(elements: list[bytes]) -> None:
    raw = b"".join(len(each).to_bytes(4, "little") + each for each in elements)
    assert parse_raw_tensor("x", "BYTES", [len(elements)], raw).values.tolist() == elements
    assert raw_elements("x", raw) == elements


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_texts_survive_json(texts: list[str]) -> None:
    tensor = parse_tensor("x", "BYTES", [len(texts)], texts)
    assert json_data(tensor) == texts


def test_nested_data_fill_the_shape_in_row_major_order() -> None:
    found = parse_tensor("x", "INT8", [2, 2], [[1, 2], [3, 4]]).values
    assert found.tolist() == [[1, 2], [3, 4]]
    words = parse_tensor("x", "BYTES", [2, 1], [["a"], ["b"]]).values
    assert words.tolist() == [[b"a"], [b"b"]]


def test_a_raw_bool_other_than_0_and_1_is_true() -> None:
    found = parse_raw_tensor("x", "BOOL", [3], b"\0\1\2").values
    assert found.tobytes() == b"\0\1\1"


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "fault"),
    [
        ("FP8", [1], [1.0], "'x' has unknown datatype 'FP8'; V2 has .*'BOOL'"),
        ("FP32", [1], None, "'x' has no data"),
        ("FP32", [1], "1", "'x' has no data"),
        ("FP32", [-1], [1.0], r"shape \[-1\]; a length is 0 or more"),
        ("FP32", [2], [1.0], r"shape \[2\] but 1 elements"),
        ("FP32", [0], [1.0], "but 1 elements"),
        ("FP32", [0, 2**62, 2**62], [], "too big"),
        ("FP32", [0] * 80, [], "dimension"),
        ("FP32", [1], ["1"], "not FP32: found '1'"),
        ("FP32", [2], [1.0, None], "found None"),
        ("FP32", [1], [True], "found True"),
        ("FP32", [2], [[1.0], [1.0, 2.0]], "inhomogeneous"),
        ("FP32", [1], [{"a": 1}], "found {'a': 1}"),
        ("FP32", [1], [1e300], "out of range"),
        ("FP16", [1], [70_000], "out of range -65504"),
        ("BOOL", [1], [1], "found 1"),
        ("INT8", [1], [1.5], "fraction"),
        ("INT32", [1], [float("nan")], "fraction"),
        ("INT64", [1], [float("inf")], "fraction"),
        ("INT8", [1], [200], "out of range -128 to 127"),
        ("UINT8", [1], [-1], "out of range 0 to 255"),
        ("INT64", [2], [2**63, -1], "out of range"),
        ("INT64", [1], [9223372036854775808.0], "out of range"),
        ("UINT64", [1], [2**64], "more than 64 bits"),
        ("BYTES", [1], [1], "found 1"),
        ("BYTES", [1], [None], "found None"),
        ("BYTES", [2], ["a"], "but 1 elements"),
        ("BYTES", [1], ["\ud800"], "surrogate"),
    ],
)
def test_wrong_data_are_refused_and_the_fault_named(
    datatype: str, shape: list[int], data: Any, fault: str
) -> None:
    with pytest.raises(InvalidRequest, match=fault) as refused:
        parse_tensor("x", datatype, shape, data)
    assert "np." not in str(refused.value)


def test_data_too_deep_for_python_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    for datatype in ("BYTES", "FP32"):
        with pytest.raises(InvalidRequest, match="'x'"):
            parse_tensor("x", datatype, [1], deep)


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "fault"),
    [
        ("FP32", [2], b"\0" * 4, r"4 bytes don't fill FP32 \[2\]"),
        ("FP32", [-2, -1], b"\0" * 8, "0 or more"),
        ("FP32", [0, 2**62, 2**62], b"", "too big"),
        ("BYTES", [1], b"\1\0\0", "broken raw contents"),
        ("BYTES", [1], b"\5\0\0\0ab", "broken raw contents"),
        ("BYTES", [2], b"\1\0\0\0a", "but 1 elements"),
        ("INT128", [1], b"\0" * 16, "unknown datatype"),
    ],
)
def test_wrong_raw_contents_are_refused(
    datatype: str, shape: list[int], raw: bytes, fault: str
) -> None:
    with pytest.raises(InvalidRequest, match=fault):
        parse_raw_tensor("x", datatype, shape, raw)


def test_an_array_without_a_v2_datatype_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="complex"):
        Tensor.of(np.zeros(1, dtype=np.complex64))
