"""The images that pods run: ours under the spec's registry and tag, and those that are named."""

from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.build.engine_images import IMAGES
from inferencegraph.build.pods import Images
from inferencegraph.spec.engines import BLOCKS
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.service import Spec
from predictors.errors import known

FIELD: Final = "spec.images"
_PREDICTOR: Final = "predictor"  # as the ServingRuntimes' ConfigMap calls it
_OURS: Final = {plain: field for field, plain in Images().ours.items()}
KNOWN: Final = (*_OURS, *dict.fromkeys((*BLOCKS, *IMAGES)))

ConfigMaps = Mapping[str, Mapping[str, Any]]


def images_of(spec: Spec, config_maps: ConfigMaps | None = None) -> Images:
    """What `names` says, then the ConfigMap, then the registry and tag. `config_maps`: those beside
    the spec, by name. Raises SpecFault."""
    part = spec.images
    for name in part.names:
        if name not in KNOWN:
            raise SpecFault(f"{FIELD}.names.{name}", f"unknown image; {known(name, KNOWN)}")
    prefix = f"{part.registry.rstrip('/')}/" if part.registry else ""
    suffix = f":{part.tag}" if part.tag else ""
    fields = {field: f"{prefix}{plain}{suffix}" for plain, field in _OURS.items()}
    given = {**_data(spec, config_maps or {}), **part.names}
    fields |= {_OURS[name]: image for name, image in given.items() if name in _OURS}
    if _PREDICTOR in given and Images().predictor not in given:
        fields[_PREDICTOR] = given[_PREDICTOR]
    engines = {name: image for name, image in given.items() if name not in (*_OURS, _PREDICTOR)}
    return Images(**fields, engines=engines)


def own_image(image: str, images: Images) -> str:
    """An image of ours as the spec names it; any other as it is."""
    return images.ours[_OURS[image]] if image in _OURS else image


def _data(spec: Spec, config_maps: ConfigMaps) -> dict[str, str]:
    """The entries of the ConfigMap that the spec reads; one that it makes is not read."""
    part = spec.images.config_map
    if part is None:
        return {}
    if part.create and part.name in config_maps:
        raise SpecFault(
            f"{FIELD}.configMap", f"ConfigMap {part.name!r} is beside the spec; leave create out"
        )
    if part.create:
        return {}
    if part.name not in config_maps:
        raise SpecFault(
            f"{FIELD}.configMap",
            f"no ConfigMap {part.name!r} beside the spec; {known(part.name, config_maps)}; it is "
            "read when the spec is rendered, from the same file or folder",
        )
    data = config_maps[part.name].get("data")
    if not isinstance(data, dict) or not all(isinstance(v, str) and v for v in data.values()):
        raise SpecFault(
            f"{FIELD}.configMap", f"ConfigMap {part.name!r} needs data of engine: image"
        )
    return data
