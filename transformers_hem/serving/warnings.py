"""What a server says at its start of a router that may not suit it."""

import logging

from transformers_hem import embedded
from transformers_hem.labels.prefixes import the_first
from transformers_hem.serving.decision import Decider

logger = logging.getLogger("kserve.hem")


def warn_of_a_shipped_router(decider: Decider) -> None:
    """It knows the pair of models that it was trained on, and no other."""
    router, config = decider.router, decider.algorithm.calibrated
    if router and config and not config.calibration and embedded.is_shipped(router):
        logger.warning(
            "router %s ships with the project, and is not calibrated on rows of yours. For other "
            "models than those that it was trained on it may be no better than a coin. Train one: "
            "hem train --data LABELS.jsonl --algorithm LinearRouter --out my-router; or calibrate "
            "this one: hem calibrate --router %s --data LABELS.jsonl --edge-ratio 0.6 --out "
            "my-router",
            router,
            router,
        )


def warn_of_a_prefix(decider: Decider) -> None:
    """V2 knows no beginnings of answers."""
    if (tokens := decider.algorithm.prefix_tokens) is not None:
        logger.warning(
            "%s decides on %s of an answer, as the gateway does with it; the V2 "
            "graph mines whole answers, for which its promise was not made",
            decider.router or decider.name,
            the_first(tokens),
        )
