"""What Sedna's and Ianvs's estimators return for one input -> the contract's values.

All of them raise ValueError that says what they got instead.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from predictors.contract import BOX_FIELDS, BOXES, PROBABILITIES, Answer, is_telemetry
from predictors.contract.tensors import Tensor, TensorRequest, TensorResponse
from predictors.engines.classifier.rows import filled
from predictors.errors import InvalidRequest
from predictors.upstream.json_body import whole_pairs

Result: TypeAlias = Literal["text", "boxes", "probabilities"]

TEXT_KEYS: Final = ("completion", "text", "answer", "generated_text")
# Name of the contract -> where Ianvs's answers have it.
TELEMETRY_KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "prompt_tokens": ("usage", "prompt_tokens"),
    "completion_tokens": ("usage", "completion_tokens"),
    "time_to_first_token": ("perf", "time_to_first_token"),
    "inter_token_latency": ("perf", "internal_token_latency"),
}


def answer_of(result: Any) -> Answer:
    """A text, a list with one, or a dict that has it under one of TEXT_KEYS, with Ianvs's `usage`
    and `perf` beside it."""
    one = result[0] if isinstance(result, list | tuple) and len(result) == 1 else result
    if isinstance(one, str):
        return Answer(whole_pairs(one))
    if isinstance(one, Mapping):
        for key in TEXT_KEYS:
            if isinstance(one.get(key), str):
                return Answer(whole_pairs(one[key]), **_telemetry(one))
    raise ValueError(
        f"{result!r:.80} is no answer: a text, a list with one, or a dict with "
        f"{', '.join(TEXT_KEYS)}"
    )


def _telemetry(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, (group, key) in TELEMETRY_KEYS.items():
        values = result.get(group)
        if isinstance(values, Mapping) and is_telemetry(name, values.get(key)):
            found[name] = values[key]
    return found


def boxes_of(result: Any) -> NDArray[np.float32]:
    """[M, 6], of rows as the contract has them: xmin, ymin, xmax, ymax, score, label. One with an
    infinite corner is left out, as Sedna's example does when it draws them."""
    boxes = _numbers(_named(result, BOXES))
    if boxes.size == 0:
        return np.zeros((0, BOX_FIELDS), dtype=np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != BOX_FIELDS:
        raise ValueError(
            f"{result!r:.80} is no list of boxes, each xmin, ymin, xmax, ymax, score, label"
        )
    return boxes[np.isfinite(boxes).all(axis=1)]


def probabilities_of(result: Any) -> NDArray[np.float32]:
    """[C], of a list of numbers, or of a list with one such list."""
    values = _numbers(_named(result, PROBABILITIES))
    if values.ndim == 2 and len(values) == 1:
        values = values[0]
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"{result!r:.80} is no list of the classes' probabilities")
    return values


def _named(result: Any, name: str) -> Any:
    return result[name] if isinstance(result, Mapping) and name in result else result


def _numbers(values: Any) -> NDArray[np.float32]:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{values!r:.80} is no list of numbers") from None


def require(kind: Literal["text", "tensors"], result: Result) -> None:
    """Raises InvalidRequest for a request of a kind that the model does not take."""
    if kind == "text" and result != "text":
        raise InvalidRequest(f"this model gives {result}: send an image, not text_input")
    if kind == "tensors" and result == "text":
        raise InvalidRequest("this model gives text: send text_input, and no other input")


def images_of(request: TensorRequest) -> NDArray[Any]:
    """The rows of a request's one input; an Estimator gets one at a time. Raises InvalidRequest."""
    if len(request.inputs) != 1:
        names = ", ".join(map(repr, request.inputs))
        raise InvalidRequest(f"this model takes one input, of any name; the request has {names}")
    ((name, tensor),) = request.inputs.items()
    if tensor.values.ndim < 2 or len(tensor.values) == 0:
        raise InvalidRequest(
            f"{name!r} has shape {list(tensor.values.shape)}; send [N, ...], at least one row"
        )
    return tensor.values


def response_of(rows: list[NDArray[np.float32]], result: Result) -> TensorResponse:
    """One row's boxes, or probabilities, after the other's."""
    if result == "boxes":
        return TensorResponse({BOXES: Tensor.of(filled(rows))})
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of one request have different numbers of classes")
    return TensorResponse({PROBABILITIES: Tensor.of(np.stack(rows))})


READERS: Final = {"boxes": boxes_of, "probabilities": probabilities_of}
