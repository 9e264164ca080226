"""Settings of the HEM transformer, from the environment, and the Decider that they make."""

import ssl
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from predictors.errors import ConfigurationError, first_fault
from predictors.serving.settings import ServerSettings
from predictors.upstream.client import tls_context
from predictors.upstream.settings import Limits
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import (
    SCORED_CHARACTERS,
    Algorithm,
    AlgorithmParameters,
)
from transformers_hem.algorithms.parameters import (
    parse,
    read_parameters,
    take_threshold,
)
from transformers_hem.feedback.settings import FeedbackSettings
from transformers_hem.gateway.options import UI, DecideAt, OnBreak, read_decide_at
from transformers_hem.gateway.sticky import StickyBy
from transformers_hem.guards import GUARDS
from transformers_hem.guards.base import Guard
from transformers_hem.guards.settings import read_guards
from transformers_hem.reload.making import Making
from transformers_hem.routers.directory import version_of
from transformers_hem.serving.decision import BatchPolicy, Decider, Unscored
from transformers_hem.serving.designs import build_strategy
from transformers_hem.serving.misfits import has_no_algorithm, refuse_misfits, refuse_prefix
from transformers_hem.serving.modes import MODES, SELF_DESIGN, MiningMode
from transformers_hem.serving.thresholds import DEFAULT_THRESHOLD, choose_threshold
from transformers_hem.strategies.base import Strategy

DEFAULT_ALGORITHM = "LinearRouter"


class HEMSettings(FeedbackSettings, ServerSettings, BaseSettings):
    """Every field is `HEM_<FIELD>`, apart from MINING_MODE; the description is in `--help`."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="HEM_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    algorithm: str | None = Field(
        default=None,
        description="name of the algorithm, or package.module:Class of your own "
        f"(default: {DEFAULT_ALGORITHM})",
    )
    parameters: str = Field(
        default="", description='of the algorithm: {"seed": 7} or [{"key": "seed", "value": "7"}]'
    )
    strategy: str | None = Field(
        default=None,
        description="of MINING_MODE self-design: how both models answer together: its name, or "
        "package.module:Class of your own",
    )
    strategy_parameters: str = Field(
        default="", description='of the strategy: {"prompt": "..."}, or a list, as HEM_PARAMETERS'
    )
    router: str | None = Field(
        default=None,
        description="router directory, a folder of versions as `hem retrain` keeps it, /mnt/models "
        "with storageUri, or embedded:linear",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description=f"a score above it is hard (default: the router's, else {DEFAULT_THRESHOLD})",
    )
    guards: str = Field(
        default="",
        description='rules that overrule it: names, or [{"name": ..., "parameters": [...]}]',
    )
    client_header: str = Field(
        default="",
        pattern="^[A-Za-z0-9_-]*$",
        description="header that tells who calls, for guards that count by client (default: none; "
        "in the gateway the caller's key)",
    )
    batch_policy: BatchPolicy = Field(
        default="any", description="rows that send a request to the cloud: any, majority or all"
    )
    scored_characters: int = Field(
        default=SCORED_CHARACTERS,
        ge=2,
        description="of a query that are scored: of a longer one the first and the last half of "
        f"them (default: {SCORED_CHARACTERS})",
    )
    edge_url: str = Field(
        default="",
        description="gateway: base URL of the edge's predictor; with HEM_CLOUD_URL it turns the "
        "gateway on (in the answer stage: the predictor's where empty)",
    )
    cloud_url: str = Field(default="", description="gateway: base URL of the uplink")
    ca_bundle: str = Field(
        default="",
        description="PEM file to verify https with, of both sides and the predictor; the system's "
        "if empty",
    )
    client_cert: str = Field(default="", description="PEM file of the certificate to show to them")
    client_key: str = Field(default="", description="PEM file of its key")
    edge_model: str = Field(
        default="", description="gateway: the edge's model (default: the one that it lists)"
    )
    cloud_model: str = Field(
        default="", description="gateway: the cloud's model (default: the one that it lists)"
    )
    site: str = Field(
        default="",
        description="gateway: the model's name for callers; NAME-edge and NAME-cloud force a side "
        "(default: --model_name without -hem or -edge)",
    )
    settings_file: str = Field(
        default="",
        description="YAML or JSON with the settings above that may change while the server runs, "
        "by their names in small letters without HEM_",
    )
    conversation: Literal["last", "whole"] = Field(
        default="last", description="gateway: what is mined: the last user message, or the whole"
    )
    sticky: StickyBy = Field(
        default="off",
        description="gateway: a conversation that the cloud has answered stays there, and is told "
        "by its header, user, first_turns, or the first of these that it has: session "
        "(default: off)",
    )
    sticky_header: str = Field(
        default="x-session-id",
        pattern="^[A-Za-z0-9_-]+$",
        description="gateway: the header that tells a conversation (default: x-session-id)",
    )
    private_sticky: StickyBy = Field(
        default="header",
        description="gateway: a conversation in which something was private stays at the edge, and "
        "is told as by HEM_STICKY (default: header)",
    )
    prices_file: str = Field(
        default="",
        description="gateway: YAML or JSON with what a million tokens of each model cost",
    )
    ledger: str = Field(
        default="",
        description="gateway: file of the egress ledger of calls to HEM_CLOUD_URL, where that is "
        "no uplink with one of its own; {hostname} in it stands for the host's",
    )
    ledger_segment_bytes: int = Field(
        default=Limits.model_fields["ledger_segment_bytes"].default,
        ge=4096,
        description="gateway: of the ledger; above it a segment is sealed, and another begins",
    )
    ledger_fsync_seconds: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="gateway: seconds after which the ledger's lines are forced to the disk; 0: "
        "the system does it when it likes",
    )
    ledger_key: str = Field(
        default="",
        description="gateway: PEM file of an Ed25519 private key that signs the ledger",
    )
    cors_origins: str = Field(
        default="",
        description="gateway: origins whose pages may call it, with commas between them; * for all "
        "(default: none)",
    )
    api_keys_file: str = Field(
        default="",
        description="file with the keys that callers of the gateway and of /admin may have, one a "
        "line, or with names and policies; or a folder of such files",
    )
    ui: UI = Field(
        default="auto",
        description="gateway: the page at /ui: on, off, or auto: where the server listens to this "
        "machine alone (default: auto)",
    )
    first_event_seconds: float = Field(
        default=15.0,
        gt=0,
        description="gateway: a stream that has not begun after so long sends its headers, and a "
        "comment as often; an error is an event from then on",
    )
    connect_seconds: float = Field(
        default=2.0, gt=0, description="gateway: seconds to open a connection to a side"
    )
    first_token_seconds: float = Field(
        default=120.0,
        gt=0,
        description="gateway: seconds until a side has to begin its streamed answer",
    )
    between_tokens_seconds: float = Field(
        default=30.0, gt=0, description="gateway: seconds until it has to go on"
    )
    timeout: float = Field(
        default=600.0, gt=0, description="gateway: seconds that one side's answer may take"
    )
    retries: int = Field(
        default=0,
        ge=0,
        description="gateway: attempts after the first at one side, where another may help; the "
        "uplink makes its own (default: 0)",
    )
    breaker_failures: int = Field(
        default=5,
        ge=0,
        description="gateway: failures of a side in a row after which it is not asked; 0: always "
        "asked",
    )
    breaker_seconds: float = Field(
        default=10.0, gt=0, description="gateway: seconds until it is asked again, by one request"
    )
    on_break: OnBreak = Field(
        default="continue",
        description="gateway: what a caller may ask for, by the header x-hem-on-break, where a "
        "stream breaks off, or a later sentence is hard: error (none), or that the other side goes "
        "on (default: continue). What the engine speculative does without its cloud is its own "
        "on_far_failure",
    )
    hedge_percentile: float | None = Field(
        default=None,
        ge=50,
        lt=100,
        description="gateway: the other side is asked, too, where one takes longer for its first "
        "token than this percentile of its last answers (default: never)",
    )
    decide_at: Annotated[DecideAt | None, BeforeValidator(read_decide_at)] = Field(
        default=None,
        description="gateway, answer stage: what decides of the edge's streamed answer: its first "
        "tokens, by their number, each sentence, or all of it: end (default: the router's "
        "prefix_tokens, or end)",
    )
    mining_mode: MiningMode | None = Field(
        default=None,
        validation_alias="MINING_MODE",
        description=f"{', '.join(MODES.values())} or {SELF_DESIGN} (default: the algorithm's own)",
    )

    def verifies(self) -> ssl.SSLContext | str:
        """For build_client. Raises ConfigurationError that names the variable of a wrong file."""
        files = (self.ca_bundle, self.client_cert, self.client_key)
        return tls_context(*files, named=environment_name) if any(files) else ""


def environment_name(field: str) -> str:
    return "MINING_MODE" if field.lower() == "mining_mode" else f"HEM_{field.upper()}"


def read_environment() -> HEMSettings:
    """Raises ConfigurationError: one line with the variable, its value and what is wrong."""
    try:
        return HEMSettings()
    except ValidationError as error:
        field, message, value = first_fault(error)
        raise ConfigurationError(f"{environment_name(field)} {value!r}: {message}") from None


def build_decider(settings: HEMSettings, making: Making | None = None) -> Decider:
    """Loads the algorithm and the guards, or takes those that `making` has. Raises
    ConfigurationError where settings or files don't fit them."""
    making = making or Making()
    named, values = _read_parameters(settings)
    designs = settings.mining_mode == SELF_DESIGN
    strategy = build_strategy(designs, settings.strategy, settings.strategy_parameters)
    router = values.get("router", settings.router or "")
    version = version_of(router) if isinstance(router, str) else None
    blocks = read_guards(settings.guards)
    name = settings.algorithm or named or (version.algorithm if version else None)
    if strategy is not None and has_no_algorithm(name, settings):
        return _without_algorithm(settings, strategy, _guards(blocks, making, settings))
    name = name or DEFAULT_ALGORITHM
    if name in GUARDS.names():  # Ianvs calls it an algorithm: the edge answers unless it objects
        name, values, blocks = "EdgeOnly", {}, {name: values, **blocks}
    kind = _kind(name)
    refuse_misfits(settings, name, kind, strategy)
    if settings.router is not None:
        values.setdefault("router", settings.router)
    if version:
        values["router"] = str(version.directory)  # this one, whatever comes into force meanwhile
    taken = take_threshold(kind, values)
    parameters = parse(name, kind, values)
    algorithm = making.algorithm(kind, parameters, [version.pointer] if version else [])
    if strategy is not None:
        refuse_prefix(name, algorithm, settings.strategy or "")
    return Decider(
        name,
        algorithm,
        choose_threshold(algorithm, set(values), taken, settings.threshold),
        settings.batch_policy,
        _guards(blocks, making, settings),
        settings.scored_characters,
        router=router if version else getattr(parameters, "router", None),
        strategy=strategy,
        strategy_name=settings.strategy or "",
        router_version=version.number if version else None,
    )


def _read_parameters(settings: HEMSettings) -> tuple[str | None, dict[str, str]]:
    """The name that HEM_PARAMETERS has, and its values."""
    named, values = read_parameters(settings.parameters)
    if named and settings.algorithm and named != settings.algorithm:
        raise ConfigurationError(
            f"HEM_ALGORITHM is {settings.algorithm!r}, but HEM_PARAMETERS names {named!r}"
        )
    return named, values


def _kind(name: str) -> type[Algorithm]:
    if ":" in name:
        return ALGORITHMS.load_own(name, f"HEM_ALGORITHM {name!r}")
    return ALGORITHMS.load(name)


def _without_algorithm(
    settings: HEMSettings, strategy: Strategy, guards: Mapping[str, Guard]
) -> Decider:
    """A strategy alone, which decides by itself."""
    name = settings.strategy or ""
    return Decider(
        name,
        Unscored(AlgorithmParameters()),
        DEFAULT_THRESHOLD,
        settings.batch_policy,
        guards,
        strategy=strategy,
        strategy_name=name,
    )


def _guards(
    blocks: Mapping[str, dict[str, str]], making: Making, settings: HEMSettings
) -> dict[str, Guard]:
    return {guard: making.guard(guard, own, dict(settings)) for guard, own in blocks.items()}
