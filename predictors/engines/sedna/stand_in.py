"""The names of Sedna's library that its examples of joint inference import, and Ianvs's log.

They are there while an Estimator is loaded, and only where the real package is not installed. Each
does what Sedna's own does; what is missing here is refused by its name.
"""

import importlib.util
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, NoReturn

LOGGER: Final = logging.getLogger("sedna")


class Context:
    """What a worker knows: all of it comes by the environment."""

    parameters = os.environ

    @classmethod
    def get_parameters(cls, param: str, default: Any = None) -> Any:
        """The variable of that name, or of that name in capitals; empty is as good as absent."""
        return cls.parameters.get(param) or cls.parameters.get(str(param).upper()) or default

    @classmethod
    def get_algorithm_from_api(cls, algorithm: str, **param: Any) -> dict[str, Any]:
        """`{"method": ..., "param": {...}}` of `HEM_NAME` and `HEM_PARAMETERS`, for algorithm
        "HEM"; `param` overrules them."""
        method = cls.get_parameters(f"{algorithm}_NAME")
        if not method:
            return {}
        try:
            listed = json.loads(cls.get_parameters(f"{algorithm}_PARAMETERS", ""))
            parameters = {each["key"]: each.get("value", "") for each in listed if "key" in each}
        except (ValueError, TypeError, AttributeError):
            parameters = {}
        return {"method": method, "param": {**parameters, **param}}


class BaseConfig:
    """The variables that Sedna gives every worker, as they are when the Estimator is loaded."""

    def __init__(self) -> None:
        self.__dict__.update(_config())

    def get(self, name: str, default: Any = "") -> Any:
        return getattr(self, name, None) or default


def _config() -> dict[str, str | None]:
    names: Mapping[str, str | None] = {
        "DEVICE_CATEGORY": "CPU",
        "BACKEND_TYPE": "TENSORFLOW",
        "LC_SERVER": "http://127.0.0.1:9100",
        "DATA_PATH_PREFIX": "/home/data",
        "NAMESPACE": "",
        "WORKER_NAME": "",
        "SERVICE_NAME": "",
        "JOB_NAME": "sedna",
        "MODEL_URL": None,
        "MODEL_NAME": None,
        "LOG_LEVEL": "INFO",
    }
    return {name.lower(): os.environ.get(name, default) for name, default in names.items()}


class ClassType:
    GENERAL = "general"
    HEM = "hard_example_mining"
    CALLBACK = "post_process_callback"


class ClassFactory:
    """Classes by type and name."""

    _classes: Final[dict[tuple[str, str], Any]] = {}

    @classmethod
    def register(
        cls, type_name: str = ClassType.GENERAL, alias: str | None = None
    ) -> Callable[[Any], Any]:
        return lambda registered: cls.register_cls(registered, type_name, alias)

    @classmethod
    def register_cls(
        cls, t_cls: Any, type_name: str = ClassType.GENERAL, alias: str | None = None
    ) -> Any:
        cls._classes[type_name, alias or t_cls.__name__] = t_cls
        return t_cls

    @classmethod
    def get_cls(cls, type_name: str, t_cls_name: str) -> Any:
        """Raises ValueError for what is not registered."""
        try:
            return cls._classes[type_name, t_cls_name]
        except KeyError:
            raise ValueError(f"no class {t_cls_name!r} of the type {type_name!r}") from None


class FileOps:
    """Of files on this machine; what fetches a model is KServe's storage initializer here."""

    @classmethod
    def clean_folder(cls, target: str | list[str], clean: bool = True) -> str | list[str]:
        """Makes the folders; empties those that are there, unless `clean` is false."""
        for folder in [target] if isinstance(target, str) else target:
            if clean:
                shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder, exist_ok=True)
        return target

    @classmethod
    def join_path(cls, *parts: str) -> str:
        return os.path.join(*parts)

    @classmethod
    def exists(cls, path: str) -> bool:
        return os.path.exists(path)


class _Served:
    """Of a worker's `main`, which is not run here."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError(
            f"{type(self).__name__} is not run here: the predictor serves the Estimator, and HEM "
            "mines; call it under `if __name__ == '__main__'` alone"
        )


class JointInference(_Served):
    pass


class BigModelService(_Served):
    pass


# Each package before what is in it.
MODULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "sedna": {},
    "sedna.common": {},
    "sedna.common.class_factory": {"ClassFactory": ClassFactory, "ClassType": ClassType},
    "sedna.common.config": {"BaseConfig": BaseConfig, "Context": Context},
    "sedna.common.file_ops": {"FileOps": FileOps},
    "sedna.common.log": {"LOGGER": LOGGER},
    "sedna.core": {},
    "sedna.core.joint_inference": {
        "BigModelService": BigModelService,
        "JointInference": JointInference,
    },
    "core": {},  # Ianvs's
    "core.common": {},
    "core.common.log": {"LOGGER": LOGGER},
}


@contextmanager
def stand_in() -> Iterator[None]:
    """Around what loads an Estimator: `import sedna` works, by the real package where it is."""
    absent = {name for name in ("sedna", "core") if importlib.util.find_spec(name) is None}
    made = {
        name: _module(name, names)
        for name, names in MODULES.items()
        if name.partition(".")[0] in absent
    }
    finder = _Refusing(absent)
    sys.modules.update(made)
    sys.meta_path.insert(0, finder)
    for name, config in _config().items():  # code of Sedna's reads them of the class, too
        setattr(BaseConfig, name, config)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in made:
            sys.modules.pop(name, None)


def _module(name: str, names: Mapping[str, Any]) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []  # a package, so that what it lacks is looked for, and refused
    module.__dict__.update(names)
    module.__dict__["__getattr__"] = lambda wanted: _refuse_name(name, wanted)
    return module


def _refuse_name(module: str, wanted: str) -> NoReturn:
    if wanted.startswith("__") or f"{module}.{wanted}" in MODULES:
        raise AttributeError(wanted)
    raise ImportError(f"{module}.{wanted} {_LACKING}", name=module)


class _Refusing:
    """Of sys.meta_path: a module that the stand-in lacks."""

    def __init__(self, packages: set[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in self._packages and "." in name:
            raise ImportError(f"{name} {_LACKING}", name=name)


_LACKING: Final = (
    "is not among the names that stand in for Sedna's library "
    f"({', '.join(f'{m}.{n}' for m, names in MODULES.items() for n in names)}); "
    "leave it out, or install the library"
)
