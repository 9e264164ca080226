"""What every server of ours has, and what every predictor has, whichever its engine."""

import os
from typing import Final, Literal

from pydantic import BaseModel, Field

from predictors.contract import Sampling, parse_sampling
from predictors.contract.query import SAMPLING
from predictors.errors import ConfigurationError, InvalidRequest
from predictors.memory import DEFAULT_BYTES_IN_FLIGHT
from predictors.settings import EngineSettings

LOOPBACK: Final = "127.0.0.1"
_HERE: Final = (LOOPBACK, "::1", "localhost")
ALL: Final = "*"
# Kubernetes sets it in each container.
_IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"


class ServerSettings(BaseModel):
    """Fields of predictors' and HEM's settings alike."""

    host: str = Field(
        default="",
        description="address to listen on; * for all of this machine's; if empty * in a pod, and "
        "elsewhere 127.0.0.1, where only this machine can call",
    )
    tls_client_ca: str = Field(
        default="",
        description="PEM file of the authority whose certificates callers have to show; with "
        "--ssl_certfile and --ssl_keyfile",
    )
    max_body_bytes: int = Field(
        default=8 * 1024 * 1024, gt=0, description="largest request body in bytes; above it: 413"
    )
    max_bytes_in_flight: int = Field(
        default=DEFAULT_BYTES_IN_FLIGHT,
        gt=0,
        description="bytes that all calls together may hold, bodies and answers read for them; "
        "above it: 503",
    )
    max_rows: int = Field(
        default=16_384, gt=0, description="most queries of one request; above it: 413"
    )
    log_format: Literal["", "text", "json"] = Field(
        default="",
        description="of the log's lines: text, or json, one object a line (default: what "
        "HEM_LOG_FORMAT says, else text)",
    )
    drain_seconds: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="after SIGTERM, seconds for which new connections are served while probes "
        "already get 503",
    )
    grace_seconds: float = Field(
        default=120.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds from a signal until calls under way get an error; keep it below the "
        "pod's terminationGracePeriodSeconds",
    )

    @property
    def address(self) -> str:
        """To listen on; empty: all."""
        in_a_pod = bool(os.environ.get(_IN_A_POD))
        host = self.host or (ALL if in_a_pod else LOOPBACK)
        return "" if host == ALL else host

    @property
    def listens_here(self) -> bool:
        """Only programs of this machine can call."""
        return self.address in _HERE


class PredictorSettings(ServerSettings, EngineSettings):
    """Options of the server, and generation parameters where a request has none."""

    model_name: str = Field("model", min_length=1, description="name in the V2 path")
    model_aliases: str = Field(
        "", description="other names that OpenAI clients may call it by, with commas between them"
    )
    first_event_seconds: float = Field(
        15.0,
        gt=0,
        description="a stream that has not begun after so long sends its headers, and a comment "
        "as often; an error is an event from then on",
    )
    engine: str = Field("huggingface", description="engine that answers, or module:Class")
    engine_config: str = Field(
        "",
        description="YAML file with options of the engine by name; what the command line or the "
        "environment says wins",
    )
    max_tokens: str = Field("512", description="most tokens of an answer")
    temperature: str = Field("0.8", description="0 (greedy) to 2")
    top_p: str = Field("0.8", description="nucleus: share of probability to sample from")
    repetition_penalty: str = Field("1.05", description="1 = none")
    stop: str = Field("", description="string that ends an answer, or a JSON array of them")
    seed: str = Field("", description="seed of sampling; none where absent")

    def aliases(self) -> list[str]:
        return [name for each in self.model_aliases.split(",") if (name := each.strip())]

    def sampling(self) -> Sampling:
        """Defaults for what a request leaves out; checked by the contract's own parser."""
        named = [name for name in SAMPLING if name in self.model_fields_set]
        values = {name: value for name in named if (value := getattr(self, name)) != ""}
        try:
            return parse_sampling(values, Sampling())
        except InvalidRequest as error:
            raise ConfigurationError(str(error)) from error
