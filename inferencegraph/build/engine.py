"""How an inference engine's own server is started, as a value.

A ServingRuntime starts it on KServe's port for the model at /mnt/models; a pod of ours has it on
another port beside the predictor (`engine_pods`). `Serving` is what differs between the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from inferencegraph.build.mining import MODEL_MOUNT
from inferencegraph.build.pods import HTTP_PORT, Resources

GPU: Final = Resources("4", "16Gi", gpus=1)
CPU: Final = Resources("4", "8Gi")
OPENAI: Final = (
    "OpenAI API: /v1/chat/completions, /v1/completions, /v1/models. Our predictor's engine openai_api\n"
    "turns it into V2; see examples/site-of-any-engine.yaml."
)


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server serves, and where. `name`: the model's, as callers say it. The model is in
    `folder`, as `file` for an engine that loads a single one; or the engine fetches it itself by
    its name at its own `hub`."""

    name: str = "{{.Name}}"  # the InferenceService's, which KServe puts in
    port: int = HTTP_PORT
    folder: str = MODEL_MOUNT
    file: str = "model.gguf"
    hub: str | None = None

    @property
    def model(self) -> str:
        """For engines that take a folder and a hub's id in the same place."""
        return self.hub or self.folder


IN_A_RUNTIME: Final = Serving()


@dataclass(frozen=True, slots=True)
class Engine:
    """`image`: its key among the images, where that is not its own name. `ready` also says that the
    model is loaded. `user`: whom the common image runs as; 0 is the image's own, which is not root,
    and None may be root. `read_only`: it writes below /tmp only. `environment`: `@x` is the pod's
    field x. `loads_file`: a single file rather than a folder. `takes_arguments`: more of them, after
    its own, reach the server. `threads`: the variable with the number of CPUs that it may use.
    """

    about: str
    formats: tuple[str, ...]
    resources: Resources
    start_seconds: int
    ready: str
    live: str
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=lambda: {"http": HTTP_PORT})
    image: str | None = None
    user: int | None = None
    read_only: bool = False
    shared_memory: bool = True
    loads_file: bool = False
    takes_arguments: bool = True
    threads: str = "OMP_NUM_THREADS"
    worker_command: tuple[str, ...] = ()
    worker_environment: Mapping[str, str] = field(default_factory=dict)
    worker_alive: tuple[str, ...] = ()
