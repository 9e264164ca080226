"""The images that are in use, as a ConfigMap: by the name of an engine, or of an image of ours. A
spec may read it again."""

from collections.abc import Iterator, Sequence
from typing import Any

from inferencegraph.build.engine_servers import SERVERS
from inferencegraph.build.image_choice import engine_image
from inferencegraph.build.mining import Mining
from inferencegraph.build.pods import Images, labels
from inferencegraph.build.sites import CloudAPI, Model


def image_map(
    name: str,
    owner: str,
    images: Images,
    sides: Sequence[object],
    mining: Mining | None,
) -> dict[str, Any]:
    """`sides`: the models. An image of one's own, or that KServe chooses, is no engine's."""
    found = dict(_in_use(images, sides, mining))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels(owner, "images", owner)},
        "data": dict(sorted(found.items())),
    }


def _in_use(
    images: Images, sides: Sequence[object], mining: Mining | None
) -> Iterator[tuple[str, str]]:
    ours, asks = Images(), mining is not None
    for model in sides:
        if isinstance(model, Model) and model.image is None and model.url is None:
            yield engine_image(model, images)
        asks = asks or isinstance(model, CloudAPI)
        asks = asks or (isinstance(model, Model) and model.engine in SERVERS)
    if asks:
        yield ours.predictor, images.predictor
    if mining is not None and not mining.by_torch:
        yield ours.transformer, images.transformer
