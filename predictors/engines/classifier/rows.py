"""A request's tensors: checked against what the model takes, and cut to the batch limit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.contract.tensors import Tensor
from predictors.engines.classifier.source import Arrays, Port
from predictors.errors import InvalidRequest


def checked(
    tensors: Mapping[str, Tensor], ports: Sequence[Port], missing_values: bool = False
) -> dict[str, NDArray[Any]]:
    """One array per port. Raises InvalidRequest that says what the model takes, and for NaN or
    infinity unless NaN may stand for `missing_values`."""
    takes = f"this model takes {', '.join(map(str, ports))}"
    for name in tensors:
        if name not in {port.name for port in ports}:
            raise InvalidRequest(f"unknown input {name!r}; {takes}")
    for port in ports:
        if port.name not in tensors:
            raise InvalidRequest(f"the request has no input {port.name!r}; {takes}")
        sent = tensors[port.name]
        if not _fits(sent, port):
            raise InvalidRequest(
                f"{port.name!r} is {sent.datatype} {list(sent.values.shape)}; {takes}"
            )
        if not (missing_values or sent.is_finite()):
            raise InvalidRequest(
                f"{port.name!r} holds NaN or infinity, from which no class can be told; send "
                "finite numbers"
            )
    arrays = {port.name: tensors[port.name].values for port in ports}
    rows = {name: len(values) for name, values in arrays.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        counts = ", ".join(f"{name!r} has {count}" for name, count in rows.items())
        raise InvalidRequest(f"inputs need as many rows as each other, at least one: {counts}")
    return arrays


def pieces(arrays: Arrays, limit: int, exactly: int | None) -> Iterator[dict[str, NDArray[Any]]]:
    """At most `limit` rows each, in order; or `exactly` so many, the last row repeated."""
    count = len(next(iter(arrays.values())))
    size = exactly or limit
    for start in range(0, count, size):
        piece = {name: values[start : start + size] for name, values in arrays.items()}
        yield {name: _padded(values, exactly) for name, values in piece.items()}


def _padded(values: NDArray[Any], exactly: int | None) -> NDArray[Any]:
    absent = (exactly or 0) - len(values)
    return np.concatenate([values, *[values[-1:]] * absent]) if absent > 0 else values


def joined(outputs: Sequence[Arrays], rows: int) -> dict[str, NDArray[Any]]:
    """The first `rows` of several pieces; boxes are filled up to as many per image."""
    return {name: _joined([each[name] for each in outputs])[:rows] for name in outputs[0]}


def decoded(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """BYTES as an object array of `str`. Raises InvalidRequest for what is not UTF-8."""
    try:
        texts = [each.decode() for each in values.ravel()]
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name!r} is not UTF-8") from None
    return np.array(texts, dtype=np.object_).reshape(values.shape)


def filled(boxes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """[N, M, 6] of N images' [boxes, 6]; the rest has label -1 and score 0."""
    most = max((len(each) for each in boxes), default=0)
    whole = np.zeros((len(boxes), most, 6), dtype=np.float32)
    whole[:, :, 5] = -1
    for image, each in zip(whole, boxes, strict=True):
        image[: len(each)] = each
    return whole


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 3 and len({part.shape[1] for part in parts}) > 1:
        return filled([image for part in parts for image in part])
    return np.concatenate(parts)


def _fits(tensor: Tensor, port: Port) -> bool:
    shape = tensor.values.shape
    if tensor.datatype not in port.datatypes or len(shape) == 0:
        return False
    return port.shape is None or (
        len(shape) == len(port.shape)
        and all(want in (-1, got) for want, got in zip(port.shape, shape, strict=True))
    )
