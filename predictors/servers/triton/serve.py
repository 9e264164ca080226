"""python -m predictors.servers.triton.serve --model_name qa --model_dir embedded:edge [OPTIONS]

A Triton that serves one Hugging Face model under `model_name`: writes its repository, then becomes
tritonserver. Further options are tritonserver's own.
"""

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

from predictors.errors import ConfigurationError
from predictors.servers.triton.repository import write_repository
from predictors.serving.command import run

EXAMPLE = """example:
  python -m predictors.servers.triton.serve --model_name qa --model_dir embedded:edge \\
    --http-port=8000 --grpc-port=8001"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m predictors.servers.triton.serve",
        description="A Triton that serves one Hugging Face model; further options are Triton's.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model_name", required=True, help="the model's name in Triton")
    parser.add_argument(
        "--model_dir", required=True, help="directory, hub id, or a shipped one: embedded:edge, ..."
    )
    parser.add_argument(
        "--tritonserver",
        default="tritonserver",
        help="command that is Triton (default: %(default)s)",
    )
    ours, options = parser.parse_known_args()
    # A few files of a few kilobytes. Nobody removes them: from here on this process is Triton.
    repository = Path(tempfile.mkdtemp(prefix="triton-models-"))
    write_repository(repository, {ours.model_name: ours.model_dir})
    command = [*shlex.split(ours.tritonserver), f"--model-repository={repository}", *options]
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise ConfigurationError(f"can't run {command[0]!r}: {error.strerror}") from None


if __name__ == "__main__":
    run(main)
