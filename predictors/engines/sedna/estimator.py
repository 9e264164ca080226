"""A user's Estimator: found, made, loaded and called. What it does there is its own; whatever it
raises becomes one line that says where."""

import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from predictors.engines.sedna.stand_in import stand_in
from predictors.errors import ConfigurationError, EngineError, HEMError, first_line
from predictors.registry import load_class

logger = logging.getLogger("kserve.hem")

MOST_CHARACTERS: Final = 300  # of what user code raises
PREDICTS: Final = ("predict", "inference")  # the second is what Ianvs's cloud models have


def loaded(path: str, model: str, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """The method that answers, of an Estimator made of the class at `path` and told to load.

    `path` is "FILE.py:Class" or "package.module:Class"; `model` a file, a directory, or whatever
    the Estimator makes of it. Raises ConfigurationError.
    """
    named = f"--estimator {path!r}"
    if model:
        os.environ["MODEL_URL"] = model  # some read it there
    with stand_in(), _told(ConfigurationError, named):
        estimator = _class_at(path, named)(**parameters)
        methods = [getattr(estimator, name, None) for name in PREDICTS]
        predict: Callable[..., Any] | None = next(filter(callable, methods), None)
        if predict is None:
            raise ConfigurationError(f"{named}: it has no method predict")
        _load(estimator, model, named)
        return predict


def call(predict: Callable[..., Any], data: Any, arguments: Mapping[str, Any]) -> Any:
    """Raises EngineError."""
    with _told(EngineError, f"{_name(predict)} failed"):
        return predict(data, **arguments)


def _class_at(path: str, named: str) -> type[Any]:
    """A file's folder stays on Python's path: what is imported while it answers may be there."""
    file, _, name = path.rpartition(":")
    if not file.endswith(".py"):
        return load_class(path, object, named)
    place = Path(file).expanduser().resolve()
    if not place.is_file():
        raise ConfigurationError(f"{named}: there is no file {place}")
    sys.path.insert(0, str(place.parent))
    found = load_class(f"{place.stem}:{name}", object, named)
    if Path(getattr(sys.modules[place.stem], "__file__", None) or "") != place:
        raise ConfigurationError(
            f"{named}: another module is called {place.stem}; give the file another name"
        )
    return found


def _load(estimator: Any, model: str, named: str) -> None:
    """Sedna's examples have load(model_url), load(model_path=""), Ianvs's load(**kwargs)."""
    load = getattr(estimator, "load", None)
    if not callable(load):
        return
    mode = os.environ.get("MODEL_LOAD_MODE") or "file"
    if model and mode == "file" and not Path(model).exists():
        raise ConfigurationError(
            f"{named}: model {model} does not exist; what is no path needs another MODEL_LOAD_MODE "
            "than file, such as hf or https"
        )
    takes = inspect.signature(load)
    ways = [((model,), {}), ((), {"model_url": model}), ((), {})] if model else [((), {})]
    for values, by_name in ways:
        try:
            takes.bind(*values, **by_name)
        except TypeError:
            continue
        load(*values, **by_name)
        return
    why = "" if model else ", and no model is given: --model_dir or MODEL_URL"
    raise ConfigurationError(f"{named}: its load takes {takes}{why}")


@contextmanager
def _told(error: type[HEMError], where: str) -> Iterator[None]:
    """User code may even end its process: SystemExit in a thread would end ours."""
    try:
        yield
    except HEMError:
        raise
    except BaseException as cause:
        logger.warning("%s", where, exc_info=True)
        reason = f"{type(cause).__name__}: {first_line(cause)}"
        raise error(f"{where}: {reason[:MOST_CHARACTERS]}") from cause


def _name(predict: Callable[..., Any]) -> str:
    return getattr(predict, "__qualname__", type(predict).__name__)
