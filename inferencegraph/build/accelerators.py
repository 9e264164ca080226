"""Accelerators that are not NVIDIA's, and what the engines' images for them need in another way."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from inferencegraph.build.engine import Engine
from inferencegraph.build.engine_images import IMAGES, OTHER_IMAGES
from inferencegraph.build.pods import NVIDIA


@dataclass(frozen=True, slots=True)
class Change:
    """`command` stands in place of the engine's own; `arguments` and `environment` come to its own;
    the variables `without` go."""

    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def applied(self, engine: Engine) -> Engine:
        variables = {**engine.environment, **self.environment}
        return replace(
            engine,
            command=self.command or engine.command,
            arguments=(*engine.arguments, *self.arguments),
            environment={name: variables[name] for name in variables if name not in self.without},
        )


@dataclass(frozen=True, slots=True)
class Accelerator:
    """`resource`: its name to Kubernetes. `images`: by engine, where it needs other ones; nothing
    is known of users that they could run as. `changes`: by engine."""

    resource: str
    images: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)

    def adapted(self, name: str, engine: Engine) -> Engine:
        """The engine as this accelerator's image of it is started."""
        if (engine.image or name) in self.images:
            engine = replace(engine, user=None)
        return self.changes[name].applied(engine) if name in self.changes else engine

    def image(self, name: str, engine: Engine) -> str:
        return {**IMAGES, **self.images}[engine.image or name]


ACCELERATORS: Final[Mapping[str, Accelerator]] = {
    "nvidia": Accelerator(NVIDIA),
    "amd": Accelerator("amd.com/gpu", OTHER_IMAGES["amd"]),
    # LMDeploy's guide for Ascend: its image for Atlas 800T A2, on arm64, whose .bashrc finds CANN.
    "ascend": Accelerator(
        "huawei.com/Ascend910",
        OTHER_IMAGES["ascend"],
        {
            "lmdeploy": Change(
                command=("bash", "-i", "-c", 'exec lmdeploy serve api_server "$@"', "lmdeploy"),
                arguments=("--backend=pytorch", "--device=ascend"),
                without=("HOME",),
            )
        },
    ),
    "cambricon": Accelerator("cambricon.com/mlu", OTHER_IMAGES["cambricon"]),
    # Intel's device plugin names a GPU by its driver. SGLang is made for Arc B and Arc Pro B, whose
    # driver is xe (older ones: gpu.intel.com/i915). Options: SGLang's page for XPU; image: its
    # nightly release for Intel; the variable: Intel's skill sglang-xpu-run, for those GPUs.
    "intel": Accelerator(
        "gpu.intel.com/xe",
        OTHER_IMAGES["intel"],
        {
            "sglang": Change(
                arguments=(
                    "--device=xpu",
                    "--attention-backend=intel_xpu",
                    "--page-size=64",
                    "--disable-overlap-schedule",
                ),
                environment={"SYCL_UR_USE_LEVEL_ZERO_V2": "0"},
            )
        },
    ),
}


def accelerator_of(resource: str) -> Accelerator:
    """Its vendor's, by the part before the slash; of another vendor, with the common images."""
    vendor = resource.partition("/")[0]
    known = (each for each in ACCELERATORS.values() if each.resource.partition("/")[0] == vendor)
    return replace(next(known, Accelerator(resource)), resource=resource)
