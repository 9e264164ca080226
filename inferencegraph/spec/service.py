"""The whole document: an LLMJointInferenceService, its edge worker and its cloud worker."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from inferencegraph.check.problem import Finding, error
from inferencegraph.spec.engines import InferenceConfig
from inferencegraph.spec.faults import findings_of, without_strangers
from inferencegraph.spec.fields import FromList, Part
from inferencegraph.spec.learning import Feedback, Retrain
from inferencegraph.spec.mining import Gateway, HardExampleMining
from inferencegraph.spec.operations import Expose, Monitoring, NetworkPolicies
from inferencegraph.spec.serving import (
    Autoscaling,
    Claim,
    ImageSettings,
    NamedAccount,
    Nodes,
    Resource,
    Sampling,
    TimeLimits,
    Toleration,
    Uplink,
)
from inferencegraph.spec.sources import LLMServiceReached, ModelSource

API_VERSION: Final = "kserve-hem.io/v1alpha1"
# What the owner's documents write is read as well.
API_VERSIONS: Final = (API_VERSION, "example.com/v1", "sedna.io/v1alpha2")


class Worker(Part):
    """What both sides have. `template`: a pod template, whose fields are carried over."""

    model: ModelSource | None = None
    inference_config: InferenceConfig | None = None
    resource: Resource | None = None
    claim: Claim | None = None
    sampling: Sampling | None = None
    replicas: int | None = Field(default=None, ge=1)
    autoscaling: Autoscaling | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: Annotated[tuple[Toleration, ...], FromList] = ()
    service_account: NamedAccount | None = None
    start_seconds: int | None = Field(default=None, ge=1, description="how long loading may take")
    template: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError("has replicas and autoscaling; give one")
        return self


class EdgeWorker(Worker):
    """The small model, on each of `nodes`; without nodes, on any node with the edge role."""

    nodes: Nodes = ()
    hard_example_mining: HardExampleMining | None = None

    @model_validator(mode="after")
    def _different_nodes(self) -> Self:
        seen: set[str] = set()
        for node in self.nodes:
            if node.name in seen:
                raise ValueError(f"names the node {node.name!r} twice")
            seen.add(node.name)
        return self


class LLMServiceMade(LLMServiceReached):
    """`router`: with KServe's gateway, route and scheduler in front."""

    router: bool = True


class CloudWorker(Worker):
    """The large model, once for all nodes. `llmInferenceService`: KServe serves it as one of its
    LLMInferenceServices rather than as an InferenceService."""

    llm_inference_service: LLMServiceMade | None = None


class Spec(Part):
    deployment_mode: Literal["sdk", "oneclick"] = "oneclick"
    inference_config: InferenceConfig = InferenceConfig()
    edge_worker: EdgeWorker | None = None
    cloud_worker: CloudWorker | None = None
    gateway: Gateway = Gateway()
    images: ImageSettings = ImageSettings()
    timeouts: TimeLimits = TimeLimits()
    uplink: Uplink = Uplink()
    feedback: Feedback | None = None
    retrain: Retrain | None = None
    expose: Expose | None = None
    network_policies: NetworkPolicies | None = None
    monitoring: Monitoring | None = None

    @model_validator(mode="after")
    def _some_side(self) -> Self:
        if self.edge_worker is None and self.cloud_worker is None:
            raise ValueError("needs edgeWorker, cloudWorker, or both")
        return self


class Metadata(Part):
    """Kubernetes' own; what else it holds is carried over."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    namespace: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class LLMJointInferenceService(Part):
    api_version: Literal["kserve-hem.io/v1alpha1", "example.com/v1", "sedna.io/v1alpha2"]
    kind: Literal["LLMJointInferenceService"]
    metadata: Metadata
    spec: Spec
    status: dict[str, Any] | None = None


def parsed(content: Mapping[str, Any]) -> tuple[LLMJointInferenceService | None, list[Finding]]:
    """A document as values, and every fault of it. Where nothing else is wrong than placeholders
    and unknown fields, the values are those without them."""
    version = content.get("apiVersion")
    if version not in API_VERSIONS:
        return None, [error("apiVersion", f"is {version!r}; write {API_VERSION!r}")]
    try:
        return LLMJointInferenceService.model_validate(content), []
    except ValidationError as fault:
        findings = findings_of(fault, LLMJointInferenceService)
        rest = without_strangers(content, fault)
    try:
        return LLMJointInferenceService.model_validate(rest), findings
    except ValidationError:
        return None, findings
