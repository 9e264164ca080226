"""A gateway from settings. Raises ConfigurationError for what can't be one."""

import argparse
from typing import TYPE_CHECKING

from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError
from predictors.upstream.redaction import shown_url
from predictors.upstream.settings import Limits, http_url_with_parameters
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.cors import read_origins
from transformers_hem.gateway.miner import Miner
from transformers_hem.gateway.pace import TimeLimits
from transformers_hem.gateway.routes import Gateway
from transformers_hem.gateway.site import Site, Target, site_name
from transformers_hem.gateway.sticky import Sticky
from transformers_hem.reload.in_force import Current
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings

if TYPE_CHECKING:
    from transformers_hem.feedback.collecting import Collecting

MAX_STREAMS = 2048  # at once to one side; more wait


def build_gateway(
    settings: HEMSettings,
    options: argparse.Namespace,
    miner: Miner,
    current: Current,
    feedback: "Collecting | None" = None,
) -> Gateway | None:
    """None where the settings name no two sides. `options` are kserve's: their `predictor_*` are
    the edge of the answer stage. `feedback` keeps decisions."""
    if not (settings.edge_url or settings.cloud_url):
        _refuse_shadow(feedback)
        return None
    sides = _sides(settings, options, current.now.decider)
    return Gateway(
        Site(settings.site or site_name(options.model_name), sides),
        miner,
        current,
        Sticky(settings.sticky, settings.sticky_header),
        private=Sticky(settings.private_sticky, settings.sticky_header),
        limits=TimeLimits(settings.first_token_seconds, settings.between_tokens_seconds),
        on_break=settings.on_break,
        hedge_percentile=settings.hedge_percentile,
        origins=read_origins(settings.cors_origins),
        whole_conversation=settings.conversation == "whole",
        patience=settings.first_event_seconds,
        client_header=settings.client_header,
        recorder=feedback.recorder if feedback else None,
        shadow=feedback.shadow if feedback else None,
        page=settings.ui == "on" or (settings.ui == "auto" and settings.listens_here),
    )


def _refuse_shadow(feedback: "Collecting | None") -> None:
    if feedback is None or feedback.shadow is None:
        return
    of_cloud_alone = not feedback.shadow.shares[EDGE]
    name = "HEM_FEEDBACK_SHADOW_EDGE" if of_cloud_alone else "HEM_FEEDBACK_SHADOW"
    raise ConfigurationError(
        f"{name} is set, and only a gateway can ask the other side: set "
        "HEM_EDGE_URL and HEM_CLOUD_URL, too, or unset it"
    )


def _sides(
    settings: HEMSettings, options: argparse.Namespace, decider: Decider
) -> dict[Route, Target]:
    joint = decider.strategy is not None and decider.strategy.at_edge
    edge, cloud = _urls(settings, options, decider.strategy_name if joint else None)
    limits = _limits(settings)
    verify = settings.verifies()
    leaving = limits.model_copy(
        update={
            "ledger": settings.ledger,
            "ledger_segment_bytes": settings.ledger_segment_bytes,
            "ledger_fsync_seconds": settings.ledger_fsync_seconds,
            "ledger_key": settings.ledger_key,
        }
    )
    near = Target(
        EDGE, _url(edge, "HEM_EDGE_URL"), settings.edge_model, limits, verify, reads_route=joint
    )
    model = settings.edge_model if joint else settings.cloud_model
    far = Target(CLOUD, _url(cloud, "HEM_CLOUD_URL"), model, leaving, verify)
    return {EDGE: near, CLOUD: far}


def _urls(settings: HEMSettings, options: argparse.Namespace, joint: str | None) -> tuple[str, str]:
    """Of the edge and of the cloud. joint: the strategy whose edge asks the cloud itself."""
    edge, cloud = settings.edge_url, settings.cloud_url
    if not edge and options.predictor_host:
        scheme = "https" if options.predictor_use_ssl else "http"
        edge = f"{scheme}://{options.predictor_host}"
    if joint is not None:
        cloud = _joint_url(edge, cloud, joint)
    for side, url in (("EDGE", edge), ("CLOUD", cloud)):
        if not url:
            raise ConfigurationError(f"the gateway needs both sides: set HEM_{side}_URL")
    return edge, cloud


def _limits(settings: HEMSettings) -> Limits:
    return Limits(
        connect_timeout=settings.connect_seconds,
        timeout=settings.timeout,
        # Pace waits for tokens, and to the point.
        first_byte_timeout=settings.timeout,
        between_bytes_timeout=settings.timeout,
        max_concurrency=MAX_STREAMS,
        retries=settings.retries,
        breaker_failures=settings.breaker_failures,
        breaker_seconds=settings.breaker_seconds,
    )


def _joint_url(edge: str, cloud: str, strategy: str) -> str:
    """The edge's engine, which asks the cloud itself and is told when not to, by headers that only
    predictors of ours read."""
    if cloud:
        raise ConfigurationError(
            f"HEM_CLOUD_URL {shown_url(cloud)!r}: with the strategy {strategy} the edge's engine "
            "asks the cloud itself; unset it, and set HEM_EDGE_URL"
        )
    if edge.partition("?")[0].rstrip("/").endswith("/v1"):
        raise ConfigurationError(
            f"HEM_EDGE_URL {shown_url(edge)!r}: the strategy {strategy} needs a predictor of ours, "
            "whose base URL has no /v1"
        )
    return edge


def _url(url: str, variable: str) -> str:
    try:
        return http_url_with_parameters(url)
    except ValueError as error:
        raise ConfigurationError(f"{variable}: {error}") from None
