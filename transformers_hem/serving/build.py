"""The HEM server's model from settings. Raises ConfigurationError for what can't be one."""

import argparse
import ssl

from kserve import model_server

from predictors.errors import ConfigurationError
from predictors.upstream.redaction import shown_url
from transformers_hem.serving.answer_stage import InferenceThenMining
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.predictor_client import (
    PredictorClient,
    PredictorRefused,
    add_ready_routes,
    answer_refusal,
)
from transformers_hem.serving.query_stage import MiningThenInference
from transformers_hem.serving.self_design import SelfDesign
from transformers_hem.serving.transformer import HEMTransformer


def build_model(
    options: argparse.Namespace, decider: Decider, verify: ssl.SSLContext | str = ""
) -> HEMTransformer:
    """The model of the strategy, or of the algorithm's stage. `options` are kserve's; their
    `predictor_*` say where an answer stage, or a strategy, finds its predictor, and `verify` is of
    TLS to it. Raises ConfigurationError where they don't fit."""
    if decider.strategy is None and decider.stage == "query":
        if options.predictor_host:
            raise ConfigurationError(
                f"--predictor_host {shown_url(options.predictor_host)!r}: {decider.name} mines the "
                "query and calls no predictor; run HEM as the predictor of an InferenceService of "
                "its own"
            )
        return MiningThenInference(options.model_name, decider)
    if not options.predictor_host:
        does = f"{decider.name} mines the answer of"
        if decider.strategy is not None:
            does = f"the strategy {decider.strategy_name} asks"
        raise ConfigurationError(f"--predictor_host is required: {does} the predictor there")
    if options.predictor_protocol == "grpc-v2":
        raise ConfigurationError("--predictor_protocol grpc-v2: HEM asks its predictor by REST, v2")
    scheme = "https" if options.predictor_use_ssl else "http"
    predictor = PredictorClient(
        f"{scheme}://{options.predictor_host}",
        options.model_name,
        float(options.predictor_request_timeout_seconds),
        verify,
    )
    model_server.args.enable_predictor_health_check = False  # add_ready_routes does it better
    model_server.app.add_exception_handler(PredictorRefused, answer_refusal)
    kind = InferenceThenMining if decider.strategy is None else SelfDesign
    model = kind(options.model_name, decider, predictor)
    add_ready_routes(model_server.app, options.model_name, model.require_ready)
    return model
