"""python -m transformers_hem --model_name qa-hem, with its settings in the environment."""

import argparse
import sys

from predictors.errors import ConfigurationError
from predictors.serving.command import run
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import (
    HEMSettings,
    build_decider,
    environment_name,
    read_environment,
)

EXAMPLE = """examples:
  mine the query, as a graph's first step:
    HEM_ALGORITHM=LinearRouter HEM_ROUTER=embedded:linear \\
      python -m transformers_hem --model_name qa-hem
  mine the edge model's answer, as the transformer in front of it:
    HEM_ALGORITHM=ConfidenceRouter HEM_THRESHOLD=0.1 \\
      python -m transformers_hem --model_name qa-edge --predictor_host localhost:8090"""


def main() -> None:
    # Bad settings are told before kserve's seconds of imports; not to somebody who asks for help.
    if not {"-h", "--help"} & set(sys.argv):
        settings = read_environment()
        decider = build_decider(settings)
    # kserve reads sys.argv when it is imported; nothing else may.
    from kserve import model_server

    parser = argparse.ArgumentParser(
        prog="python -m transformers_hem",
        usage="%(prog)s --model_name NAME [--predictor_host HOST:PORT] [options]",
        description="The hard-example mining (HEM) transformer. "
        f"Algorithms: {', '.join(ALGORITHMS.names())}.",
        epilog=f"{_environment()}\n\n{EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[model_server.parser],
        conflict_handler="resolve",
    )
    options = parser.parse_args()
    if decider.algorithm.stage == "query":
        _serve_query_stage(options, decider, settings)
    else:
        _serve_answer_stage(options, decider, settings)


def _serve_query_stage(
    options: argparse.Namespace, decider: Decider, settings: HEMSettings
) -> None:
    from predictors.serving.server import serve
    from transformers_hem.serving.transformer import MiningThenInference

    if options.predictor_host:
        raise ConfigurationError(
            f"--predictor_host {options.predictor_host!r}: {decider.name} mines the query and "
            "calls no predictor; run HEM as the predictor of an InferenceService of its own"
        )
    model = MiningThenInference(options.model_name, decider)
    serve(model, max_body_bytes=settings.max_body_bytes, cancel_on_disconnect=False)


def _serve_answer_stage(
    options: argparse.Namespace, decider: Decider, settings: HEMSettings
) -> None:
    from kserve import model_server

    from predictors.serving.server import serve
    from transformers_hem.serving.predictor_client import (
        PredictorClient,
        PredictorRefused,
        add_ready_routes,
        answer_refusal,
    )
    from transformers_hem.serving.transformer import InferenceThenMining

    if not options.predictor_host:
        raise ConfigurationError(
            f"--predictor_host is required: {decider.name} mines the answer of the predictor there"
        )
    if options.predictor_protocol == "grpc-v2":
        raise ConfigurationError("--predictor_protocol grpc-v2: HEM asks its predictor by REST, v2")
    model_server.args.enable_predictor_health_check = False  # add_ready_routes does it better
    model_server.app.add_exception_handler(PredictorRefused, answer_refusal)
    scheme = "https" if options.predictor_use_ssl else "http"
    predictor = PredictorClient(
        f"{scheme}://{options.predictor_host}",
        options.model_name,
        float(options.predictor_request_timeout_seconds),
    )
    add_ready_routes(model_server.app, options.model_name, predictor)
    model = InferenceThenMining(options.model_name, decider, predictor)
    serve(model, max_body_bytes=settings.max_body_bytes)


def _environment() -> str:
    fields = HEMSettings.model_fields.items()
    names = [(environment_name(name), field.description) for name, field in fields]
    return "environment:\n" + "\n".join(f"  {name:20} {told}" for name, told in names)


if __name__ == "__main__":
    run(main)
