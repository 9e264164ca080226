"""The kubectl or kustomize of this machine, which builds kustomizations."""

import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from inferencegraph.read.documents import Document, objects
from predictors.errors import ConfigurationError

log = logging.getLogger(__name__)

# The first versions that know components: kubectl's kustomize was 2.0.3 until then.
KUBECTL: Final = (1, 21)
KUSTOMIZE: Final = (3, 7)
# Nothing is fetched, so that this is long for the largest tree.
_SECONDS: Final = 60


_LOG_PREFIX: Final = re.compile(r'^([Ee]rror: |[EF]\d{4} .*?\] "command failed" err=)')


@dataclass(frozen=True, slots=True)
class Tool:
    """`words` before the folder."""

    name: str
    words: tuple[str, ...]


def find() -> Tool | None:
    """What builds here, or None; says so where what there is is too old."""
    return _find(os.environ.get("PATH", os.defpath))


def build(tool: Tool, folder: Path, file: Path) -> list[Document]:
    """The objects of a kustomization, in the order in which kubectl applies them. Raises
    ConfigurationError with what the tool says."""
    try:
        done = _run([*tool.words, str(folder)])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{file}: {tool.name}: {error}") from None
    if done.returncode:
        raise ConfigurationError(f"{file}: {tool.name}: {_reason(done)}")
    return objects(done.stdout, file)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What the tool said, on one line and without the prefixes of its log."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("# Warning")]
    said = _LOG_PREFIX.sub("", " ".join(" ".join(lines).split()))
    if said[:1] in ('"', "<"):  # the log's quotes
        said = said[1:-1].replace('\\"', '"').strip()
    return said or f"exit status {done.returncode}"


@cache
def _find(path: str) -> Tool | None:
    kubectl, kustomize = (shutil.which(name, path=path) for name in ("kubectl", "kustomize"))
    if kubectl and _new_enough("kubectl", _kubectl_version(kubectl), KUBECTL):
        return Tool("kubectl kustomize", (kubectl, "kustomize"))
    if kustomize and _new_enough("kustomize", _kustomize_version(kustomize), KUSTOMIZE):
        return Tool("kustomize build", (kustomize, "build"))
    return None


def _new_enough(name: str, version: tuple[int, int] | None, lowest: tuple[int, int]) -> bool:
    if version is None:
        log.warning("%s does not say its version, so it is not used", name)
        return False
    if version < lowest:
        log.warning(
            "%s %d.%d knows no components of kustomizations (%d.%d does), so it is not used",
            *(name, *version, *lowest),
        )
    return version >= lowest


def _kubectl_version(program: str) -> tuple[int, int] | None:
    text = _said([program, "version", "--client", "-o", "json"])
    try:
        version = json.loads(text)["clientVersion"]
        return int(version["major"]), int(re.match(r"\d+", version["minor"])[0])  # type: ignore[index]
    except (ValueError, KeyError, TypeError):
        return None


def _kustomize_version(program: str) -> tuple[int, int] | None:
    numbers = re.search(r"(\d+)\.(\d+)\.\d+", _said([program, "version"]))
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def _said(command: Sequence[str]) -> str:
    try:
        return _run(command).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=_SECONDS, check=False
    )
