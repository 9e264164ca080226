"""What a spec asks for beside its models."""

from collections.abc import Mapping, Sequence

from inferencegraph.build.monitoring import Monitoring
from inferencegraph.build.operations import Operations
from inferencegraph.spec.faults import Collector, SpecFaults
from inferencegraph.spec.resolve.accounts import accounts_of
from inferencegraph.spec.resolve.exposure import exposure_of
from inferencegraph.spec.resolve.isolation import isolation_of
from inferencegraph.spec.resolve.learning import Learning
from inferencegraph.spec.resolve.models import Served
from inferencegraph.spec.service import Spec
from inferencegraph.spec.sources import ModelSource


def operations_asked(
    spec: Spec,
    name: str,
    sites: Sequence[str],
    learning: Learning,
    sources: Mapping[str, ModelSource],
    cloud: Served | None,
) -> Operations:
    """Of the spec called `name`; `sources`: by side, where its model comes from. Raises SpecFaults
    with all that is wrong."""
    faults, part, images = Collector(), spec.monitoring, spec.images.config_map
    asked = Operations(
        faults.get(lambda: exposure_of(spec, sites, learning.mining)),
        faults.get(lambda: isolation_of(spec, name, sources, cloud, learning.mining)),
        Monitoring(part.labels, part.interval) if part else None,
        faults.get(lambda: accounts_of(spec, sources)) or (),
        images.name if images and images.create else None,
    )
    if faults.findings:
        raise SpecFaults(faults.findings)
    return asked
