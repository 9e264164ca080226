"""From a spec to the values that `inferencegraph.build` takes."""

from inferencegraph.spec.resolve.design import is_joint, joined
from inferencegraph.spec.resolve.images import images_of
from inferencegraph.spec.resolve.learning import Learning, learning_of, store_warnings
from inferencegraph.spec.resolve.mining import mining_of
from inferencegraph.spec.resolve.models import model_of, model_source, with_one_file
from inferencegraph.spec.resolve.operations import operations_asked
from inferencegraph.spec.resolve.paths import located, located_source
from inferencegraph.spec.resolve.resources import claim_of, claim_warnings
from inferencegraph.spec.resolve.sites import places_of, sites_of, timeouts_of

__all__ = [
    "Learning",
    "claim_of",
    "claim_warnings",
    "images_of",
    "is_joint",
    "joined",
    "learning_of",
    "located",
    "located_source",
    "mining_of",
    "model_of",
    "model_source",
    "operations_asked",
    "places_of",
    "sites_of",
    "store_warnings",
    "timeouts_of",
    "with_one_file",
]
