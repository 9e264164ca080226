"""What a site is made from, as values: its models, how it mines, its cloud, its time limits."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from inferencegraph.build.engine_file import EngineFile
from inferencegraph.build.pods import ANY_EDGE_NODE, EdgeNode, Images, Resources
from predictors.contract import Sampling
from predictors.contract.query import CONTRACT_SAMPLING
from predictors.errors import ConfigurationError, known
from predictors.upstream.limits import longest_call
from predictors.upstream.redaction import shown_url

QUERY_STAGE: Final = "mining-then-inference"
ANSWER_STAGE: Final = "inference-then-mining"
MINING_MODES: Final = (QUERY_STAGE, ANSWER_STAGE)
SELF_DESIGN: Final = "self-design"
MODES: Final = (*MINING_MODES, SELF_DESIGN)
# Where only the two of mining will do.
OF_A_STRATEGY: Final = (
    f"{SELF_DESIGN} is code of yours there: write it as a strategy of a spec (docs/self-design.md)"
)

# The Secret with the keys of the gateway's callers.
GATEWAY_KEYS: Final = "kserve-hem-gateway-keys"
MODEL_MOUNT: Final = "/mnt/models"  # where KServe puts what a storageUri names
ALGORITHM_MOUNT: Final = "/etc/hem/algorithm"  # of a user's own algorithm
# Measured as the server's peak resident memory, with four callers at once: LinearRouter 200 MiB,
# embedded:best (22M parameters, int8, by onnxruntime) 321 MiB.
HEM_RESOURCES: Final = Resources(cpu="500m", memory="512Mi")
# Of a router that torch runs. Measured likewise: all-MiniLM-L6-v2 (22M parameters) 687 MiB, a model
# of routellm/bert's size (278M parameters, 1.04 GiB in float32) 1,070 MiB, of which 524 MiB are not
# its file's pages; with all pages of that file it is 1.6 GiB.
ENCODER_RESOURCES: Final = Resources(cpu="1", memory="2Gi")
DEFAULT_IMAGES: Final = Images()
UPLINK_RESOURCES: Final = Resources(cpu="250m", memory="512Mi")
DEFAULT_START_SECONDS: Final = 600
LIGHT_START_SECONDS: Final = 120  # for what loads no model


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, from the inside out; each has to outlast the one before it.

    cloud: the uplink's limit on one call, once it has a place; before that it waits for a place
    for at most a quarter as long. edge: HEM's limit on the edge model, where HEM stands in front
    of it. service_client: the router's limit on one step; when it ends first, the graph answers
    500 instead of the uplink's error body, and nothing degrades.
    """

    cloud_connect: float = 2.0
    cloud: float = 120.0
    edge: int = 120
    service_client: int = 180

    def __post_init__(self) -> None:
        in_order = 0 < self.cloud_connect <= self.cloud
        in_order = in_order and longest_call(self.cloud) < self.service_client
        if not in_order or not 0 < self.edge < self.service_client:
            raise ConfigurationError(
                "timeouts need 0 < cloud_connect <= cloud < service_client, by a quarter of cloud "
                f"at least, and 0 < edge < service_client, got {self}"
            )

    @property
    def server_write(self) -> int:
        """The router's limit on a whole query, which passes at most three steps (its own default
        of 60 s drops the connection of a slow answer)."""
        return 3 * self.service_client


DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Places:
    """An uplink's calls at once, and those that may wait; None: the predictor's own default."""

    max_concurrency: int | None = None
    max_queue: int | None = None

    def environment(self) -> dict[str, str]:
        values = {
            "PREDICTOR_MAX_CONCURRENCY": self.max_concurrency,
            "PREDICTOR_MAX_QUEUE": self.max_queue,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


DEFAULT_PLACES: Final = Places()


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pods. autoscaler: KServe's class, which stays between the two by `metric`, at
    `target` percent of its request; None: `minimum`, and no more."""

    minimum: int = 1
    maximum: int = 1
    autoscaler: str | None = None
    metric: str = "cpu"
    target: int = 80


@dataclass(frozen=True, slots=True)
class Running:
    """How a side's pods run beside what is in them: nodeSelector and tolerations (the edge's are
    its node's), and the service account, whose credentials KServe fetches the model with."""

    scale: Scale = field(default_factory=Scale)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    service_account: str | None = None

    def manifest(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.node_selector:
            fields["nodeSelector"] = dict(self.node_selector)
        if self.tolerations:
            fields["tolerations"] = [dict(each) for each in self.tolerations]
        if self.service_account:
            fields["serviceAccountName"] = self.service_account
        return fields


@dataclass(frozen=True, slots=True)
class Model:
    """One model and the engine that serves it: `engine` alone chooses, whichever it is.

    directory: `--model_dir` (a path, a hub id, `embedded:edge`). storage_uri: fetched by KServe
    to /mnt/models, which is then the directory. arguments: the engine's own options, as they stand
    after `python -m predictors`. resources, start_seconds: of the container that loads the model,
    and how long it may take.

    An engine that asks a server gets one in its pod. server_arguments, server_environment: that
    server's own options.
    config: more options of what loads the model, from a file; arguments win.
    url: asks the server there instead, which has the model under the name that `directory` says
    (None: as the engine finds it). image: in place of the engine's own, with the model in it, there
    under the name that `directory` says. command: the V2 server of that image that is started
    instead of an engine; it gets `--model_name`, and a site's pod may add `--http_port` and
    `--grpc_port`.
    """

    resources: Resources
    directory: str | None = None
    storage_uri: str | None = None
    engine: str = "huggingface"
    arguments: tuple[str, ...] = ()
    sampling: Sampling = CONTRACT_SAMPLING
    start_seconds: int = DEFAULT_START_SECONDS
    url: str | None = None
    server_arguments: tuple[str, ...] = ()
    server_environment: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    command: tuple[str, ...] = ()
    running: Running = field(default_factory=Running)
    config: EngineFile | None = None

    def __post_init__(self) -> None:
        if self.url is not None:
            for name in ("storage_uri", "server_arguments", "server_environment"):
                if value := getattr(self, name):
                    raise ConfigurationError(
                        f"the server at url {shown_url(self.url)!r} has its model already; "
                        f"remove {name} {value!r}"
                    )
        elif self.image is None and (self.directory is None) == (self.storage_uri is None):
            raise ConfigurationError(
                "a model has either a directory or a storage_uri, got "
                f"directory={self.directory!r} and storage_uri={self.storage_uri!r}"
            )

    def environment(self) -> dict[str, str]:
        values = sampling_environment(self.sampling)
        values["OMP_NUM_THREADS"] = str(self.resources.threads)
        if self.storage_uri is not None:
            values["STORAGE_URI"] = self.storage_uri
        return values


@dataclass(frozen=True, slots=True)
class OwnAlgorithm:
    """A user's own algorithm or strategy: class `name` in the text of the file `<module>.py`, its
    stage where the class says it, and whether it says that it is at the edge."""

    module: str
    name: str
    text: str
    stage: str | None = None
    at_edge: bool = False

    @property
    def path(self) -> str:
        return f"{self.module}:{self.name}"

    @property
    def suffix(self) -> str:
        """Of the ConfigMap's name: another text has another name, so that pods start anew."""
        return f"algorithm-{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Design:
    """A strategy of the mode self-design. at_edge: the edge's engine asks the cloud itself, and
    there is no uplink."""

    strategy: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    at_edge: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of HEM's container: its `source` as a pod has it."""

    path: str
    source: Mapping[str, Any]
    read_only: bool = False

    def manifest(self, name: str) -> dict[str, Any]:
        """As a container mounts the volume called so."""
        read_only = {"readOnly": True} if self.read_only else {}
        return {"name": name, "mountPath": self.path, **read_only}

    def volume(self, name: str) -> dict[str, Any]:
        return {"name": name, **copy.deepcopy(dict(self.source))}


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A key of a Secret that is there already."""

    name: str
    key: str

    def variable(self, variable: str) -> dict[str, Any]:
        """As a container has it; its pod waits for the Secret."""
        reference = {"name": self.name, "key": self.key}
        return {"name": variable, "valueFrom": {"secretKeyRef": reference}}


@dataclass(frozen=True, slots=True)
class Mining:
    """How HEM decides. threshold None: the one that the router was calibrated to. A router with a
    scheme is one that KServe fetches. gateway: HEM also offers OpenAI's API, for models of text;
    keys_secret: the Secret with its callers' keys. settings: further HEM_* variables. sidecar: HEM
    stands in the edge model's pod, in the answer stage. own: the user's own algorithm, which is
    mounted, as is a ConfigMap of the user's. by_torch: its router needs torch and transformers,
    which are in the predictor's image; that one is on each site's node for the uplink, so nothing
    more is pulled. mounts: files, such as those of guards. design: of the mode self-design, which
    needs no algorithm: that is None. secrets: HEM_* variables whose values are in Secrets.
    versions: the router is a folder of versions, each of which brings its own algorithm."""

    mode: str
    algorithm: str | None
    router: str | None = None
    threshold: float | None = None
    parameters: Mapping[str, str | float | bool] = field(default_factory=dict)
    resources: Resources = HEM_RESOURCES
    gateway: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    keys_secret: str = GATEWAY_KEYS
    sidecar: bool = False
    own: OwnAlgorithm | None = None
    config_map: str | None = None
    by_torch: bool = False
    mounts: tuple[Mount, ...] = ()
    design: Design | None = None
    secrets: Mapping[str, SecretValue] = field(default_factory=dict)
    versions: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigurationError(
                f"unknown mining mode {self.mode!r}; {known(self.mode, MODES)}"
            )
        if (self.mode == SELF_DESIGN) != (self.design is not None):
            raise ConfigurationError(f"a strategy is of {SELF_DESIGN}, not of {self.mode}")
        if self.design is None and self.algorithm is None:
            raise ConfigurationError(f"{self.mode} needs an algorithm")
        if self.sidecar and self.mode == QUERY_STAGE:
            raise ConfigurationError(
                f"a sidecar mines the answers of the model in its pod; in {QUERY_STAGE} HEM is a "
                "component of its own"
            )

    def environment(self) -> dict[str, str]:
        values: dict[str, str | None] = {
            "PYTHONPATH": ALGORITHM_MOUNT if self.own else None,
            "MINING_MODE": self.mode,
            "HEM_STRATEGY": self.design.strategy if self.design else None,
            "HEM_STRATEGY_PARAMETERS": (
                json.dumps(dict(self.design.parameters))
                if self.design and self.design.parameters
                else None
            ),
            "HEM_ALGORITHM": None if self.versions else self.algorithm,
            "HEM_ROUTER": MODEL_MOUNT if self.fetched else self.router,
            "STORAGE_URI": self.router if self.fetched else None,
            "HEM_THRESHOLD": None if self.threshold is None else f"{self.threshold:g}",
            "HEM_PARAMETERS": json.dumps(dict(self.parameters)) if self.parameters else None,
        }
        chosen = {name: value for name, value in values.items() if value is not None}
        return {**chosen, **self.settings}

    @property
    def joint(self) -> bool:
        """Whether the edge's engine asks the cloud itself."""
        return self.design is not None and self.design.at_edge

    @property
    def fetched(self) -> bool:
        """Whether KServe brings the router to MODEL_MOUNT."""
        return self.router is not None and "://" in self.router


@dataclass(frozen=True, slots=True)
class CloudAddress:
    """The cloud as an uplink sees it: a V2 server's base URL and the model there.

    sampling: for what a request leaves open. The uplink forwards it, so it is the cloud model's.
    """

    url: str
    model: str
    sampling: Sampling = CONTRACT_SAMPLING


@dataclass(frozen=True, slots=True)
class CloudAPI:
    """A cloud that is an OpenAI-compatible API, or another server by its `engine`: its base URL,
    the model there, and the Secret whose `key` is the API's; without that Secret the uplink has no
    key. config: options of the engine, from a file."""

    url: str
    model: str
    secret: str | None
    sampling: Sampling = CONTRACT_SAMPLING
    engine: str = "openai_api"
    key: str = "key"
    arguments: tuple[str, ...] = ()
    config: EngineFile | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One edge node's share: the names of its objects begin with `name`. owner: the spec that it
    was made from, where that is called otherwise."""

    name: str
    node: EdgeNode = ANY_EDGE_NODE
    images: Images = DEFAULT_IMAGES
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    owner: str | None = None
    places: Places = DEFAULT_PLACES


def predictor_url(service: str) -> str:
    """Where a pod of the same namespace reaches the predictor of InferenceService `service`.

    KServe in Standard mode makes a Service `<name>-predictor` whose port 80 is the container's
    8080 (`status.address.url` is its long form). Where an installation sets
    `serviceClusterIPNone`, the Service is headless and `:8080` belongs behind the name.
    """
    return f"http://{service}-predictor"


def hem_workload(site: str, mining: Mining) -> str:
    """What KServe calls HEM's Deployment and Service at the site called so."""
    if mining.mode == QUERY_STAGE:
        return f"{site}-hem-predictor"
    return f"{site}-edge-{'predictor' if mining.sidecar else 'transformer'}"


def sampling_environment(sampling: Sampling) -> dict[str, str]:
    """PREDICTOR_* for what differs from the contract's defaults."""
    values = {}
    for each in fields(sampling):
        name, value = each.name, getattr(sampling, each.name)
        if value != getattr(CONTRACT_SAMPLING, name):
            text = json.dumps(value) if isinstance(value, tuple) else str(value)
            values[f"PREDICTOR_{name.upper()}"] = f"{value:g}" if isinstance(value, float) else text
    return values
