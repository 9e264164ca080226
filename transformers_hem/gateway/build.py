"""A gateway from settings. Raises ConfigurationError for what can't be one."""

from pathlib import Path

from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError
from predictors.upstream.settings import Limits, http_url_with_parameters
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.routes import Gateway, Miner
from transformers_hem.gateway.site import Site, Target, site_name
from transformers_hem.serving.settings import HEMSettings

MAX_STREAMS = 2048  # at once to one side; more wait


def build_gateway(settings: HEMSettings, model_name: str, miner: Miner) -> Gateway | None:
    """None where the settings name no two sides."""
    if not (settings.edge_url or settings.cloud_url):
        return None
    for side, url in (("EDGE", settings.edge_url), ("CLOUD", settings.cloud_url)):
        if not url:
            raise ConfigurationError(f"the gateway needs both sides: set HEM_{side}_URL")
    limits = Limits(timeout=settings.timeout, max_concurrency=MAX_STREAMS)
    edge = Target(EDGE, _url(settings.edge_url, "HEM_EDGE_URL"), settings.edge_model, limits)
    cloud = Target(CLOUD, _url(settings.cloud_url, "HEM_CLOUD_URL"), settings.cloud_model, limits)
    site = Site(settings.site or site_name(model_name), {EDGE: edge, CLOUD: cloud})
    keys = Keys(Path(settings.api_keys_file)) if settings.api_keys_file else None
    if keys is None and settings.host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigurationError(
            "the gateway listens on other addresses than this machine's own: set "
            "HEM_API_KEYS_FILE to a file with the keys that callers may have, one a line, or "
            "HEM_HOST=127.0.0.1"
        )

    return Gateway(
        site,
        miner,
        keys,
        whole_conversation=settings.conversation == "whole",
        patience=settings.first_event_seconds,
    )


def _url(url: str, variable: str) -> str:
    try:
        return http_url_with_parameters(url)
    except ValueError as error:
        raise ConfigurationError(f"{variable}: {error}") from None
