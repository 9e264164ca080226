import pytest

from predictors.engines import ENGINES
from predictors.engines.base import Engine
from predictors.errors import ConfigurationError
from predictors.registry import Registry

# Not installed beside our other extras; `make test-engines` loads and runs them.
OWN_ENVIRONMENT = {"vllm"}


@pytest.mark.parametrize("name", sorted({*ENGINES.names()} - OWN_ENVIRONMENT))
def test_every_engine_in_the_table_loads(name: str) -> None:
    assert issubclass(ENGINES.load(name), Engine)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    expected = r"unknown engine 'hugginface'; known: .*huggingface.*did you mean 'huggingface'"
    with pytest.raises(ConfigurationError, match=expected):
        ENGINES.load("hugginface")


def test_a_missing_package_names_the_extra() -> None:
    registry: Registry[object] = Registry("engine", {"x": "no_such_package.x:X"})
    expected = r"needs the package 'no_such_package'.*kserve-hem\[x\]"
    with pytest.raises(ConfigurationError, match=expected):
        registry.load("x")


def test_a_taken_name_is_not_overwritten() -> None:
    registry: Registry[object] = Registry("engine", {"x": "a:A"})
    with pytest.raises(ConfigurationError, match="registered already"):
        registry.register("x", "b:B")
