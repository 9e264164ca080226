"""ConfigMaps of the manifests that containers mount, as folders on this machine."""

from collections.abc import Iterator, Mapping, Sequence
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
    paths: dict[str, str] = {}
    for mount, source in _config_mounts(item):
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


def mounted_text(item: Placed, maps: Maps, path: str) -> str | None:
    """What a ConfigMap has for the file at `path` in the container; None where none does."""
    for mount, source in _config_mounts(item):
        folder = str(mount.get("mountPath")).rstrip("/")
        content = maps.get((item.namespace, str(source.get("name"))))
        if content is not None and path.startswith(f"{folder}/"):
            text = _files(content, source).get(path.removeprefix(f"{folder}/"))
            return None if text is None else str(text)
    return None


def _config_mounts(item: Placed) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each mount of a ConfigMap, and the volume's source."""
    volumes = {str(volume.get("name")): mapping(volume.get("configMap")) for volume in item.volumes}
    for mount in map(mapping, sequence(item.container.get("volumeMounts"))):
        if source := volumes.get(str(mount.get("name"))):
            yield mount, source


def _written(content: Mapping[str, Any], source: Mapping[str, Any], folder: Path) -> Path:
    """The ConfigMap's texts as files."""
    for name, text in _files(content, source).items():
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise ConfigurationError(f"ConfigMap file {name!r}: leads out of its folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(text or ""), encoding="utf-8")
    return folder


def _files(content: Mapping[str, Any], source: Mapping[str, Any]) -> Mapping[str, Any]:
    """File name -> text; `items` of the volume choose and rename them."""
    data = mapping(content.get("data"))
    items = sequence(source.get("items"))
    return {item["path"]: data.get(item["key"]) for item in items} if items else data
