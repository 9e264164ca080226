"""Whether the environment asks for traces, by OpenTelemetry's own variables.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
The SDK itself reads all others: endpoint, headers, sampler, resource, batches.
"""

import logging
import os
from collections.abc import Mapping
from typing import Final

from predictors.tracing.spans import record_by

logger = logging.getLogger("kserve.hem")

DISABLED: Final = "OTEL_SDK_DISABLED"
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OTLP, NONE, HTTP = "otlp", "none", "http/protobuf"
INSTALL: Final = "pip install 'kserve-hem[telemetry]'"


def wanted(environ: Mapping[str, str]) -> bool:
    """Unlike OpenTelemetry's default, nothing is sent where nobody has said where to."""
    if environ.get(DISABLED, "").strip().lower() == "true":
        return False
    exporter = environ.get(EXPORTER, "").strip().lower()
    return exporter != NONE and bool(exporter or any(map(environ.get, ENDPOINTS)))


def refusal(environ: Mapping[str, str]) -> str | None:
    """Why what is wanted can't be had here."""
    exporter = environ.get(EXPORTER, "").strip().lower() or OTLP
    if exporter != OTLP:
        return f"{EXPORTER} {exporter!r:.40} is not one of: {OTLP}, {NONE}"
    for name in PROTOCOLS:
        if protocol := environ.get(name, "").strip().lower():
            return None if protocol == HTTP else f"{name} {protocol!r:.40}: only {HTTP} is sent"
    return None


def start_tracing(service: str, environ: Mapping[str, str] | None = None) -> None:
    """As the environment says. `service` is this server's name unless OTEL_SERVICE_NAME, or
    service.name in OTEL_RESOURCE_ATTRIBUTES, says another.

    Whatever is wrong is one warning: traces are not what a server is for.
    """
    environ = os.environ if environ is None else environ
    if not wanted(environ):
        return
    why = refusal(environ)
    if why is None:
        try:
            from predictors.tracing.recording import recorder
        except ImportError as error:
            why = f"{error.name} is not installed: {INSTALL}"
        else:
            record_by(recorder(service))
            logger.info("traces go out as %s", service)
            return
    logger.warning("no traces: %s", why)
