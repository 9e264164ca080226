"""The table of trained routers: a folder and a line each; listing and serving import little."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.routers import TRAINED_ROUTERS
from transformers_hem.routers.base import Learner, TrainedRouter
from transformers_hem.routers.training import LEARNERS

HEAVY = {"torch", "transformers", "sklearn", "scipy", "onnxruntime", "kserve"}

LENGTH_SCORE = """
from typing import Literal
import numpy as np
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.routers.base import TrainedConfig, TrainedRouter
from transformers_hem.routers.directory import locate, read_config

class LengthConfig(TrainedConfig):
    algorithm: Literal["LengthRouter"] = "LengthRouter"
    longest: int

class LengthParameters(AlgorithmParameters):
    router: str

class LengthRouter(TrainedRouter):
    stage = "query"
    Parameters = LengthParameters
    def __init__(self, parameters):
        self.calibrated = read_config(locate(parameters.router), LengthConfig, "LengthRouter")
    def raw(self, batch):
        return np.array([min(len(t) / self.calibrated.longest, 1.0) for t in batch.texts])
"""

LENGTH_LEARNER = """
import numpy as np
from lengths.score import LengthConfig
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.base import Learner

class LengthLearner(Learner):
    def learn(self, labels, directory, seed):
        longest = max(map(len, labels.queries))
        raw = np.array([len(query) / longest for query in labels.queries])
        return LengthConfig(longest=longest, **assess(raw, labels, seed, "longest query"))
"""

LENGTH_USE = """
import sys
from pathlib import Path
from transformers_hem.routers import TRAINED_ROUTERS, TrainedRouterRow
TRAINED_ROUTERS["LengthRouter"] = TrainedRouterRow(
    score="lengths.score:LengthRouter", learner="lengths.learner:LengthLearner"
)
from transformers_hem.algorithms.base import Batch
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import LEARNERS, train
assert "LengthRouter" in LEARNERS.names()
metrics = train(Path("rows.jsonl"), "LengthRouter", Path("router"))
short, long = open_router("router").score(Batch(2, texts=("short", "long " * 20)))
print(metrics["auroc"], short < metrics["threshold"] < long)
"""


@pytest.mark.parametrize("name", TRAINED_ROUTERS)
def test_a_row_names_a_score_and_a_learner(name: str) -> None:
    assert issubclass(ALGORITHMS.load(name), TrainedRouter)
    assert issubclass(LEARNERS.load(name), Learner)


def test_what_is_trained_is_what_can_be_trained() -> None:
    assert LEARNERS.names() == sorted(TRAINED_ROUTERS)
    assert set(TRAINED_ROUTERS) < set(ALGORITHMS.names())


def run(code: str, folder: Path = ROOT) -> str:
    path = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]\n"
    done = subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        "from transformers_hem.routers import TRAINED_ROUTERS as rows; list(rows)",
        "from transformers_hem.routers.training import LEARNERS; LEARNERS.names()",
        "from transformers_hem.routers.scoring import open_router\n"
        "from transformers_hem.algorithms.base import Batch\n"
        "open_router('embedded:linear').score(Batch(1, texts=('What is 2 + 3?',)))",
    ],
)
def test_listing_them_and_serving_a_linear_one_imports_nothing_heavy(code: str) -> None:
    assert run(f"{code}\nprint({HEAVY!r} & sys.modules.keys())") == "set()"


def test_a_trained_router_of_ones_own_is_a_folder_and_a_line(tmp_path: Path) -> None:
    (tmp_path / "lengths").mkdir()
    (tmp_path / "lengths" / "score.py").write_text(LENGTH_SCORE)
    (tmp_path / "lengths" / "learner.py").write_text(LENGTH_LEARNER)
    rows = [
        {"query": f"{'long ' * 20 if i % 2 else 'short '}{i}", "edge_correct": i % 2 == 0}
        for i in range(40)
    ]
    lines = [json.dumps({**row, "cloud_correct": True}) + "\n" for row in rows]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    assert run(LENGTH_USE, tmp_path) == "1.0 True"
