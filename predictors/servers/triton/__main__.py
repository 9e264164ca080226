"""python -m predictors.servers.triton DIRECTORY NAME=MODEL_DIR ..."""

import argparse
from pathlib import Path

from predictors.errors import ConfigurationError
from predictors.servers.triton.repository import write_repository
from predictors.serving.command import run

EXAMPLE = """example:
  python -m predictors.servers.triton /tmp/models qa-edge=embedded:edge qa-cloud=embedded:cloud
  tritonserver --model-repository /tmp/models"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m predictors.servers.triton",
        description="Writes a Triton model repository that serves Hugging Face directories.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL_DIR")
    options = parser.parse_args()
    models = {}
    for pair in options.models:
        name, _, model_dir = pair.partition("=")
        if not name or not model_dir:
            raise ConfigurationError(f"{pair!r} is not NAME=MODEL_DIR")
        models[name] = model_dir
    write_repository(options.directory, models)


if __name__ == "__main__":
    run(main)
