"""An algorithm of the user's own: by dotted path, or by an entry point of an installed package."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import Batch
from transformers_hem.algorithms.plugins import ENTRY_POINTS
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider

MODULE = """
import numpy as np
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters

class Shouting(Algorithm):
    stage = "query"
    def score(self, batch):
        return np.array([float(text.isupper()) for text in batch.texts])

class Bystander:
    pass

class Nowhere(Shouting):
    stage = "both"

class Stageless(Algorithm):
    def score(self, batch):
        return np.zeros(batch.size)

class Scoreless(Algorithm):
    stage = "query"

class Untyped(Shouting):
    Parameters = dict
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with the module `of_mine`."""
    (tmp_path / "of_mine.py").write_text(MODULE)
    (tmp_path / "broken_of_mine.py").write_text("raise RuntimeError('no licence')")
    (tmp_path / "needy_of_mine.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def decider(algorithm: str) -> Decider:
    return build_decider(HEMSettings(algorithm=algorithm, parameters='{"threshold": "0.25"}'))


def install(folder: Path, distribution: str, **entry_points: str) -> None:
    """As pip leaves a package behind."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINTS}]", *lines]))


def test_a_class_by_its_dotted_path() -> None:
    mined = decider("of_mine:Shouting")
    decision = mined.decide(Batch(1, texts=("HELP",)))
    assert (decision.route, decision.algorithm) == ("cloud", "of_mine:Shouting")
    assert mined.threshold == 0.25


def test_a_class_by_the_entry_point_of_its_package(package: Path) -> None:
    install(package, "shouting-router", Shouting="of_mine:Shouting")
    assert decider("Shouting").decide(Batch(1, texts=("help",))).route == "edge"
    with pytest.raises(ConfigurationError, match=r"known: .*Shouting"):
        decider("Whispering")


def test_a_name_that_this_package_has_is_nobody_elses(package: Path) -> None:
    install(package, "shouting-router", LinearRouter="of_mine:Shouting")
    with pytest.raises(ConfigurationError, match=r"'LinearRouter' is given by .* shouting-router"):
        ALGORITHMS.load("LinearRouter")
    assert ALGORITHMS.load("Random").stage == "query"


def test_a_name_that_two_packages_have_is_nobodys(package: Path) -> None:
    install(package, "one-router", Shouting="of_mine:Shouting")
    install(package, "other-router", Shouting="of_mine:Stageless")
    with pytest.raises(ConfigurationError, match=r"given by (one|other)-router and by .*renamed"):
        decider("Shouting")


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("not_there:Shouting", "there is no module 'not_there'.*PYTHONPATH"),
        ("of_mine.deeper:Shouting", "there is no module 'of_mine.deeper'"),
        ("needy_of_mine:Any", "there is no module 'a_package_that_is_not_there'"),
        ("broken_of_mine:Any", "broken_of_mine fails when it is imported: .*no licence"),
        ("of_mine:Whispering", "of_mine has no 'Whispering'"),
        ("of_mine:Bystander", "Bystander.* is not a subclass of .*Algorithm"),
        ("of_mine:np", "is not a subclass of"),
        ("of_mine:Nowhere", "its stage must be 'query' or 'answer', not 'both'"),
        ("of_mine:Stageless", "its stage must be 'query' or 'answer', not None"),
        ("of_mine:Scoreless", "it does not define score"),
        ("of_mine:Untyped", "not a subclass of AlgorithmParameters"),
        ("of mine:Shouting", "is not 'package.module:Class'"),
        (":Shouting", "is not 'package.module:Class'"),
    ],
)
def test_what_is_wrong_with_a_class_is_told_in_one_line(path: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as raised:
        decider(path)
    assert str(raised.value).startswith(f"HEM_ALGORITHM {path!r}: ")
    assert "\n" not in str(raised.value)


def test_a_router_directory_cannot_name_a_class_to_import() -> None:
    with pytest.raises(ConfigurationError, match="unknown algorithm 'of_mine:Shouting'"):
        ALGORITHMS.load("of_mine:Shouting")


def test_a_mode_that_contradicts_the_stage_of_a_class_is_refused() -> None:
    settings = HEMSettings(algorithm="of_mine:Shouting", MINING_MODE="inference-then-mining")
    with pytest.raises(ConfigurationError, match="of_mine:Shouting, which mines the query"):
        build_decider(settings)
