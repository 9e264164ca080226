"""Trains the shipped routers on the embedded pair's own results on training questions.

The same labels and seed give the same bytes. It also says which threshold suits ConfidenceRouter
on the same rows: the manifests of inference-then-mining carry it.
"""

import argparse
from pathlib import Path

import numpy as np
import orjson

from predictors import embedded as pair
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content
from transformers_hem.algorithms.base import Batch
from transformers_hem.algorithms.confidence import ConfidenceParameters, ConfidenceRouter
from transformers_hem.evaluation.quality import Cut, cheapest_cut
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.training import train

LABELS = Path(pair.__file__).parent / "data" / "labels.jsonl.gz"
HERE = Path(__file__).parents[1]
ROUTERS = {"LinearRouter": HERE / "linear", "CombinedRouter": HERE / "combined"}
KEEP_QUALITY = 0.97


def confidence_cut(data: Path, signal: str) -> Cut:
    """Where to cut ConfidenceRouter's scores, on labels that carry the edge's log-probabilities."""
    labels = read_labels(data)
    rows = [orjson.loads(line) for line in read_content(data).splitlines() if line.strip()]
    router = ConfidenceRouter(ConfidenceParameters.model_validate({"signal": signal}))
    batch = Batch(
        len(rows),
        mean_logprob=np.array([row["edge_mean_logprob"] for row in rows], dtype=np.float64),
        min_logprob=np.array([row["edge_min_logprob"] for row in rows], dtype=np.float64),
    )
    return cheapest_cut(router.score(batch), labels.edge, labels.cloud, KEEP_QUALITY)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m transformers_hem.embedded.workshop.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python -m transformers_hem.embedded.workshop.train --out /tmp/routers",
    )
    parser.add_argument("--data", type=Path, default=LABELS, help="labels (default: shipped)")
    parser.add_argument("--out", type=Path, help="folder for both (default: the shipped ones)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    try:
        _train(options)
    except ConfigurationError as error:
        parser.error(str(error))


def _train(options: argparse.Namespace) -> None:
    for algorithm, shipped in ROUTERS.items():
        out = options.out / shipped.name if options.out else shipped
        for name, value in train(options.data, algorithm, out, seed=options.seed).items():
            print(f"{algorithm} {name}: {value}")
    for signal in ("mean_logprob", "min_logprob"):
        cut = confidence_cut(options.data, signal)
        print(
            f"ConfidenceRouter {signal}: threshold {cut.threshold}, "
            f"quality {cut.quality:.4f}, edge share {cut.edge_share:.4f}"
        )


if __name__ == "__main__":
    main()
