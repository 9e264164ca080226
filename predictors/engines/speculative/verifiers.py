"""What checks drafts, by name: the setting `verifier`. A new one is a class and one line here."""

from collections.abc import Callable, Mapping
from typing import Final

from predictors.engines.speculative.base import Verifier
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.verifier import RemoteVerifier
from predictors.engines.speculative.vllm_verifier import VLLMVerifier

VERIFIERS: Final[Mapping[str, Callable[[SpeculativeSettings], Verifier]]] = {
    "predictor": RemoteVerifier,
    "vllm": VLLMVerifier,
}
