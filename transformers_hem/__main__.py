"""python -m transformers_hem --model_name qa-hem, with its settings in the environment."""

import argparse
import sys

from predictors import logs
from predictors.serving.command import run
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.reload.reloading import Reloading
from transformers_hem.serving.settings import (
    HEMSettings,
    environment_name,
    read_environment,
)
from transformers_hem.serving.warnings import warn_of_a_prefix, warn_of_a_shipped_router
from transformers_hem.strategies import STRATEGIES

EXAMPLE = """examples:
  mine the query, as a graph's first step:
    HEM_ALGORITHM=LinearRouter HEM_ROUTER=embedded:linear \\
      python -m transformers_hem --model_name qa-hem
  mine the edge model's answer, as the transformer in front of it:
    HEM_ALGORITHM=ConfidenceRouter HEM_THRESHOLD=0.1 \\
      python -m transformers_hem --model_name qa-edge --predictor_host localhost:8090"""


def main() -> None:
    # A bad setting shows before kserve's seconds of imports, but not to who asks for help.
    if not {"-h", "--help"} & set(sys.argv):
        settings = read_environment()
        logs.install(settings.log_format)
        reloading = Reloading(settings)
        decider = reloading.current.now.decider
    # kserve reads sys.argv when it is imported; nothing else may.
    from kserve import model_server

    from predictors.serving.server import serve
    from transformers_hem.feedback.build import build_feedback
    from transformers_hem.gateway.build import build_gateway
    from transformers_hem.gateway.cors import read_origins
    from transformers_hem.serving.answer_stage import InferenceThenMining
    from transformers_hem.serving.build import build_model

    options = _parser(model_server.parser).parse_args()
    model = build_model(options, decider, settings.verifies())
    model.client_header = settings.client_header
    model.follow(reloading)
    model.feedback = build_feedback(settings, reloading.current)
    model.gateway = build_gateway(settings, options, model, reloading.current, model.feedback)
    warn_of_a_shipped_router(decider)
    warn_of_a_prefix(decider)
    # The decision on a query takes less time than a task that watches for its cancellation.
    serve(
        model,
        settings,
        cancel_on_disconnect=isinstance(model, InferenceThenMining),
        origins=read_origins(settings.cors_origins),
    )


def _parser(kserves: argparse.ArgumentParser) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m transformers_hem",
        usage="%(prog)s --model_name NAME [--predictor_host HOST:PORT] [options]",
        description="The hard-example mining (HEM) transformer. "
        f"Algorithms: {', '.join(ALGORITHMS.names())}. "
        f"Strategies: {', '.join(STRATEGIES.names())}.",
        epilog=f"{_environment()}\n\n{EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[kserves],
        conflict_handler="resolve",
    )


def _environment() -> str:
    lines = [
        f"  {environment_name(name):20} {field.description}"
        for name, field in HEMSettings.model_fields.items()
    ]
    return "\n".join(["environment:", *lines])


if __name__ == "__main__":
    run(main)
