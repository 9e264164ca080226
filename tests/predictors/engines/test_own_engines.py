"""An engine of the user's own: by dotted path, or by an entry point of an installed package."""

from pathlib import Path

import pytest

from predictors.engines import ENGINES
from predictors.errors import ConfigurationError

MODULE = """
from predictors.engines.base import TextEngine
from predictors.contract import Answer

class Shouting(TextEngine):
    async def start(self):
        pass
    async def generate(self, queries):
        return [Answer(query.text.upper()) for query in queries]

class Bystander:
    pass

class Silent(TextEngine):
    async def start(self):
        pass

class Untyped(Shouting):
    Settings = dict
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with the module `engine_of_mine`."""
    (tmp_path / "engine_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(folder: Path, distribution: str, **entry_points: str) -> None:
    """As pip leaves a package behind."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[kserve_hem.engines]", *lines]))


def test_a_class_by_its_path() -> None:
    assert ENGINES.load("engine_of_mine:Shouting").__name__ == "Shouting"


def test_a_class_by_the_entry_point_of_its_package(package: Path) -> None:
    install(package, "shouting", shouting="engine_of_mine:Shouting")
    assert ENGINES.load("shouting").__name__ == "Shouting"
    assert "shouting" in ENGINES.names()
    with pytest.raises(ConfigurationError, match=r"unknown engine 'shoutng'; known: .*shouting"):
        ENGINES.load("shoutng")


def test_a_name_that_this_package_has_is_nobody_elses(package: Path) -> None:
    install(package, "shouting", kserve="engine_of_mine:Shouting")
    with pytest.raises(ConfigurationError, match=r"'kserve' is given by this package and by shout"):
        ENGINES.load("kserve")


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("not_there:Shouting", "there is no module 'not_there'.*PYTHONPATH"),
        ("engine_of_mine:Whispering", "engine_of_mine has no 'Whispering'"),
        ("engine_of_mine:Bystander", "is not a subclass of predictors.engines.base.Engine"),
        ("engine_of_mine:Silent", "it does not define generate"),
        ("engine_of_mine:Untyped", "not a subclass of EngineSettings"),
        ("engine of mine:Shouting", "is not 'package.module:Class'"),
    ],
)
def test_a_fault_of_a_class_is_one_line(path: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as raised:
        ENGINES.load(path)
    assert str(raised.value).startswith(f"--engine {path!r}: ")
    assert "\n" not in str(raised.value)
