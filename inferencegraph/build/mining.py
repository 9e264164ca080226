"""How HEM decides at a site, as values."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.build.pods import Resources
from predictors.errors import ConfigurationError, known

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


def hem_workload(site: str, mining: Mining) -> str:
    """What KServe calls HEM's Deployment and Service at the site called so."""
    if mining.mode == QUERY_STAGE:
        return f"{site}-hem-predictor"
    return f"{site}-edge-{'predictor' if mining.sidecar else 'transformer'}"
