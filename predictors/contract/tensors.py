"""V2 tensors as numpy arrays, without kserve: what engines of tensors take and answer.

Datatypes are V2's (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol);
BYTES is an object array of `bytes`.
"""

import base64
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from predictors.contract import Scalar
from predictors.errors import InvalidRequest

BOOL: Final = "BOOL"
BYTES: Final = "BYTES"
FP16: Final = "FP16"
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    BOOL: np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    BYTES: np.dtype(np.object_),
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """An input or output of a model, as in V2 metadata. In `shape` -1 is any length; an empty
    `shape` is unknown."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """`values` have the dtype of `datatype` in DTYPES."""

    datatype: str
    values: NDArray[Any]

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Tensor":
        """With the datatype of the array. Raises ValueError where V2 has none for it."""
        if values.dtype.kind in "SUO":
            return cls(BYTES, _bytes_array(values.ravel().tolist()).reshape(values.shape))
        for datatype, dtype in DTYPES.items():
            if values.dtype == dtype:
                return cls(datatype, values)
        raise ValueError(f"V2 has no datatype for numpy's {values.dtype}")

    def is_finite(self) -> bool:
        """Whether it holds neither NaN nor infinity."""
        return self.values.dtype.kind != "f" or bool(np.isfinite(self.values).all())


@dataclass(frozen=True, slots=True)
class TensorRequest:
    """`outputs` names those that the client wants; empty means all."""

    inputs: Mapping[str, Tensor]
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorResponse:
    """`served_by` None means this model."""

    outputs: Mapping[str, Tensor]
    served_by: str | None = None
    cached: bool = False


def parse_tensor(name: str, datatype: str, shape: Sequence[int], data: Any) -> Tensor:
    """From JSON data: a flat or nested list. Raises InvalidRequest that names what is wrong."""
    dtype = dtype_of(name, datatype)
    if not isinstance(data, Sequence | np.ndarray) or isinstance(data, str | bytes):
        raise InvalidRequest(f"{name!r} has no data")
    check_shape(name, shape)
    try:
        values = _bytes_array(_flat(data)) if datatype == BYTES else _numbers(data, dtype)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidRequest(f"the data of {name!r} are not {datatype}: {error}") from None
    return Tensor(datatype, _shaped(name, values, shape))


def parse_raw_tensor(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """From the bytes of V2's binary extension and of gRPC's raw contents: little-endian, C order;
    an element of BYTES is 4 bytes of length, then its own. Raises InvalidRequest."""
    dtype = dtype_of(name, datatype)
    check_shape(name, shape)
    if datatype == BYTES:
        return Tensor(datatype, _shaped(name, _bytes_array(raw_elements(name, raw)), shape))
    check_raw_size(name, datatype, shape, raw)
    if datatype == BOOL:  # any byte but 0 is true; numpy would keep the byte
        return Tensor(datatype, _shaped(name, np.frombuffer(raw, dtype=np.uint8) != 0, shape))
    values = np.frombuffer(raw, dtype=dtype.newbyteorder("<")).astype(dtype, copy=False)
    return Tensor(datatype, _shaped(name, values, shape))


def check_raw_size(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> None:
    """Of a datatype other than BYTES. Raises InvalidRequest where `raw` doesn't fill the shape."""
    if len(raw) != math.prod(shape) * dtype_of(name, datatype).itemsize:
        raise InvalidRequest(f"{name!r}: {len(raw)} bytes don't fill {datatype} {list(shape)}")


def raw_elements(name: str, raw: bytes) -> list[bytes]:
    """Elements of a raw BYTES tensor. Raises InvalidRequest where one runs past the end."""
    elements: list[bytes] = []
    offset = 0
    while offset < len(raw):
        start = offset + 4
        offset = start + int.from_bytes(raw[offset:start], "little")
        if start > len(raw) or offset > len(raw):
            raise InvalidRequest(
                f"{name!r} has broken raw contents: element {len(elements)} runs past their end"
            )
        elements.append(raw[start:offset])
    return elements


def from_base64(name: str, data: Any) -> Any:
    """BYTES whose input has MLServer's `content_type: base64`; nested as they were. Raises
    InvalidRequest."""
    if isinstance(data, list):
        return [from_base64(name, each) for each in data]
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, TypeError):
        raise InvalidRequest(
            f"{name!r} has content_type base64, but {data!r:.80} is not base64"
        ) from None


def json_data(tensor: Tensor) -> list[Any]:
    """Flat, in row-major order. Raises ValueError for BYTES that are not UTF-8."""
    flat = tensor.values.ravel().tolist()
    return [item.decode() for item in flat] if tensor.datatype == BYTES else flat


def tensor_json(name: str, tensor: Tensor) -> dict[str, Any]:
    """The tensor in a V2 JSON body. Raises ValueError for BYTES that are not UTF-8."""
    shape = list(tensor.values.shape)
    return {"name": name, "datatype": tensor.datatype, "shape": shape, "data": json_data(tensor)}


def dtype_of(name: str, datatype: str) -> np.dtype[Any]:
    """numpy's for V2's. Raises InvalidRequest that names the tensor."""
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise InvalidRequest(f"{name!r} has unknown datatype {datatype!r}; V2 has {list(DTYPES)}")
    return dtype


def check_shape(name: str, shape: Sequence[int]) -> None:
    """Raises InvalidRequest for a length that is not an integer, or is negative."""
    if not all(isinstance(length, int) and length >= 0 for length in shape):
        raise InvalidRequest(f"{name!r} has shape {list(shape)}; a length is 0 or more")


def _shaped(name: str, values: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    if values.size != math.prod(shape):
        raise InvalidRequest(f"{name!r} has shape {list(shape)} but {values.size} elements")
    try:
        return values.reshape(tuple(shape))
    except ValueError as error:  # more dimensions than numpy's, or lengths beside a 0 too large
        raise InvalidRequest(f"{name!r} has shape {list(shape)}: {error}") from None


def _numbers(data: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Raises ValueError for what is not a number (for BOOL: true or false), or is out of range."""
    values = np.asarray(data)
    # numpy makes floats of a list with integers both below and above 2^63.
    mixed = values.dtype.kind == "f" and dtype.kind == "u"
    if mixed and all(isinstance(item, int) for item in _flat(data)):
        values = np.asarray(data, dtype=np.uint64)
    if values.size == 0:
        return values.astype(dtype)
    if values.dtype.kind not in "biuf" or (values.dtype.kind == "b") != (dtype.kind == "b"):
        raise ValueError(_stranger(data, bool if dtype.kind == "b" else int | float))
    if dtype.kind in "iu":
        _check_integers(values, np.iinfo(dtype))
        return values.astype(dtype)
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    if dtype.kind == "f" and (np.isinf(cast) & ~np.isinf(values)).any():
        raise ValueError(f"out of range {np.finfo(dtype).min} to {np.finfo(dtype).max}")
    return cast


def _check_integers(values: NDArray[Any], limits: "np.iinfo[Any]") -> None:
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        raise ValueError("found a fraction")
    # Python's own integers: numpy would round the limits of 64 bits to floats.
    if int(values.min()) < limits.min or int(values.max()) > limits.max:
        raise ValueError(f"out of range {limits.min} to {limits.max}")


def _stranger(data: Any, wanted: Any) -> str:
    """What keeps `data` from being numbers, or truth values."""
    for item in _flat(data):
        if not isinstance(item, wanted) or (isinstance(item, bool) and wanted is not bool):
            return f"found {item!r:.80}"
    return "found a number of more than 64 bits"


def _flat(data: Any) -> Iterator[Any]:
    for item in data:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _bytes_array(items: Iterable[Any]) -> NDArray[Any]:
    """Raises ValueError for what is neither str nor bytes."""
    elements = [item.encode() if isinstance(item, str) else item for item in items]
    for element in elements:
        if not isinstance(element, bytes):
            raise ValueError(f"found {element!r}")
    return np.array(elements, dtype=np.object_)
