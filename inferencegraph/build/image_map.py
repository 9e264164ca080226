"""The images that are in use, as a ConfigMap: by the name of an engine, or of an image of ours. A
spec may read it again."""

from collections.abc import Iterator
from typing import Any

from inferencegraph.build.engine_pods import SERVERS, engine_image
from inferencegraph.build.pods import Images, labels
from inferencegraph.build.sites import CloudAPI, Mining, Model


def image_map(
    name: str,
    owner: str,
    images: Images,
    sides: tuple[Model | CloudAPI | None, ...],
    mining: Mining | None,
) -> dict[str, Any]:
    """`sides`: the models. One that has an image of its own is not an engine's."""
    found = dict(_in_use(images, sides, mining))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels(owner, "images", owner)},
        "data": dict(sorted(found.items())),
    }


def _in_use(
    images: Images, sides: tuple[Model | CloudAPI | None, ...], mining: Mining | None
) -> Iterator[tuple[str, str]]:
    ours, asks = Images(), mining is not None
    for model in sides:
        if isinstance(model, Model) and model.image is None and model.url is None:
            yield engine_image(model, images)
        asks = asks or not isinstance(model, Model) or model.engine in SERVERS
    if asks:
        yield ours.predictor, images.predictor
    if mining is not None and not mining.by_torch:
        yield ours.transformer, images.transformer
