"""Trains `embedded:general`, for users without labels, on public rows of two real models.

The rows (MMLU, GSM8K, MT-Bench) are not part of the project; see README.md beside this. The same
files and seed give the same bytes.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

from predictors.errors import ConfigurationError
from predictors.jsonl import write_lines
from transformers_hem.labels.labels import Labels, read_labels
from transformers_hem.routers.training import train

FILES = tuple(f"{name}_mixtral_gpt4.jsonl.gz" for name in ("mmlu", "gsm8k", "mtbench"))
MTBENCH_RANGE = (1.0, 10.0)
OUT = Path(__file__).parents[1] / "general"


def join(data: Path, out: Path) -> None:
    """All rows of the folder's files as one file of scores in [0, 1]."""
    parts = [read_labels(data / name) for name in FILES]
    write_lines(out, (line for part in parts for line in _rows(part)))


def _rows(labels: Labels) -> Iterator[bytes]:
    low, high = MTBENCH_RANGE if labels.scale > 1 else (0.0, 1.0)
    scores = (np.stack([labels.edge, labels.cloud]) - low) / (high - low)
    for query, edge, cloud in zip(labels.queries, *scores.tolist(), strict=True):
        yield orjson.dumps({"query": query, "edge_score": edge, "cloud_score": cloud}) + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m transformers_hem.embedded.workshop.train_general",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python -m transformers_hem.embedded.workshop.train_general --data rows",
    )
    parser.add_argument("--data", type=Path, required=True, help=f"folder of {', '.join(FILES)}")
    parser.add_argument("--out", type=Path, default=OUT, help="router directory (default: shipped)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as aside:
            joined = Path(aside) / "rows.jsonl"
            join(options.data, joined)
            metrics = train(joined, "LinearRouter", options.out, seed=options.seed)
    except ConfigurationError as error:
        parser.error(str(error))
    for name, value in metrics.items():
        print(f"LinearRouter {name}: {value}")


if __name__ == "__main__":
    main()
