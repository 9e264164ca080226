"""The images of ours, as the spec names them."""

from inferencegraph.build.pods import Images
from inferencegraph.spec.service import Spec


def images_of(spec: Spec) -> Images:
    """The images of ours under the spec's registry and tag, and what `names` says instead."""
    part = spec.images
    prefix = f"{part.registry.rstrip('/')}/" if part.registry else ""
    suffix = f":{part.tag}" if part.tag else ""
    fields = {name: f"{prefix}{image}{suffix}" for name, image in _defaults().items()}
    own = {image: name for name, image in _defaults().items()}
    for image, name in part.names.items():
        if image in own:
            fields[own[image]] = name
    return Images(**fields)


def own_image(image: str, spec: Spec) -> str:
    """An image of ours as the spec names it; any other as it is."""
    names = {plain: name for name, plain in _defaults().items()}
    return str(getattr(images_of(spec), names[image])) if image in names else image


def _defaults() -> dict[str, str]:
    images = Images()
    return {name: getattr(images, name) for name in Images.__slots__}
