"""Fed what a real KServe 0.20 was given, the model of it makes what the real one made."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.check.reconciled import reconciled
from tests.inferencegraph.check.api_defaults import comparable, stored

SITES = [
    "answer-generation-inference-then-mining",
    "answer-generation-mining-then-inference",
    "digit-recognition",
    "runtimes-examples",
]


def _documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _key(content: dict[str, Any]) -> tuple[str, str]:
    return content["kind"], content["metadata"]["name"]


@pytest.mark.parametrize("site", SITES)
def test_what_is_made_is_what_the_real_controller_made(site: str, shared: Path) -> None:
    folder = shared / "conformance/reconciled"
    given = _documents(folder / f"input/{site}.yaml")
    for document in given:
        document["metadata"]["namespace"] = site
    made = {_key(each.content): each.content for each in reconciled(given)}
    real = {_key(each): each for each in _documents(folder / f"{site}.yaml")}
    assert sorted(made) == sorted(real)
    for key, content in real.items():
        wanted = _in_one_namespace(comparable(content), site)
        assert _in_one_namespace(comparable(stored(made[key])), site) == wanted, key


def _in_one_namespace(content: Any, site: str) -> Any:
    """The recording has one name in place of the namespaces'; a few words kept the real one."""
    if isinstance(content, dict):
        return {key: _in_one_namespace(value, site) for key, value in content.items()}
    if isinstance(content, list):
        return [_in_one_namespace(each, site) for each in content]
    if isinstance(content, str):
        return content.replace(f"-{site}.example.com", "-default.example.com").replace(
            f".{site}.svc", ".default.svc"
        )
    return content
