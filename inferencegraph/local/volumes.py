"""ConfigMaps of the manifests that containers mount, as folders on this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.local.placement import Placed
from predictors.errors import ConfigurationError, known

Maps = Mapping[tuple[str, str], Mapping[str, Any]]  # by namespace and name


def config_maps(documents: Sequence[Mapping[str, Any]]) -> Maps:
    found = {}
    for content in documents:
        if content["kind"] == "ConfigMap":
            metadata = content["metadata"]
            found[metadata.get("namespace", "default"), metadata["name"]] = content
    return found


def mounted(item: Placed, maps: Maps, folder: Path) -> dict[str, str]:
    """Each mountPath of a ConfigMap -> where its files are here, below `folder`.

    Raises ConfigurationError for a ConfigMap that is not among the manifests, unless it is
    optional.
    """
    volumes = {str(volume.get("name")): mapping(volume.get("configMap")) for volume in item.volumes}
    paths: dict[str, str] = {}
    for mount in map(mapping, sequence(item.container.get("volumeMounts"))):
        source = volumes.get(str(mount.get("name")))
        if not source:
            continue
        name = str(source.get("name"))
        content = maps.get((item.namespace, name))
        if content is None:
            if source.get("optional"):
                continue
            names = [own for _, own in maps]
            raise ConfigurationError(
                f"{item.where}: mounts the ConfigMap {name!r}, which is not in these manifests; "
                f"{known(name, names)}"
            )
        here = _written(content, source, folder / item.namespace / f"{name}.{mount['name']}")
        paths[str(mount["mountPath"]).rstrip("/")] = str(here / str(mount.get("subPath") or ""))
    return paths


def _written(content: Mapping[str, Any], source: Mapping[str, Any], folder: Path) -> Path:
    """The ConfigMap's texts as files; `items` of the volume choose and rename them."""
    data = mapping(content.get("data"))
    items = sequence(source.get("items"))
    chosen = {item["path"]: data.get(item["key"]) for item in items} if items else data
    for name, text in chosen.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(text or ""), encoding="utf-8")
    return folder
