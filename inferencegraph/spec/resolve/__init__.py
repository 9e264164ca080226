"""From a spec to the values that `inferencegraph.build` takes."""

from inferencegraph.spec.resolve.exposure import exposure_of
from inferencegraph.spec.resolve.images import images_of
from inferencegraph.spec.resolve.mining import mining_of
from inferencegraph.spec.resolve.models import claim_of, model_of
from inferencegraph.spec.resolve.sites import places_of, sites_of, timeouts_of

__all__ = [
    "claim_of",
    "exposure_of",
    "images_of",
    "mining_of",
    "model_of",
    "places_of",
    "sites_of",
    "timeouts_of",
]
