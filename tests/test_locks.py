"""What images install: `.ci/locks`, which `make lock` writes from the tested set of versions."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / ".ci/locks"
EXTRAS = {
    "predictor.txt": ["huggingface", "quantization", "onnx", "triton", "telemetry"],
    "uplink.txt": ["telemetry"],
    "hem.txt": ["onnx", "privacy", "languages", "feedback", "plot", "telemetry"],
}
# What `hem router` imports, which is not all that the project requires.
ROUTER = "router.txt"
ALL = [*EXTRAS, ROUTER]
REWRITE = "run `make lock`"
# What torch brings for GPUs, which the environment of the tests does not have.
_OF_GPUS = re.compile(r"(nvidia|cuda)-.*|triton")


def _tested() -> dict[str, str]:
    lines = (ROOT / ".ci/constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def _locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Package -> its line and its hashes."""
    text = (LOCKS / name).read_text().replace("\\\n", " ")
    lines = [line.split("--hash=") for line in text.splitlines() if line and line[0] != "#"]
    read = [(Requirement(first), [part.strip() for part in hashes]) for first, *hashes in lines]
    return {canonicalize_name(each.name): (each, hashes) for each, hashes in read}


def _wanted(extras: list[str]) -> list[Requirement]:
    """What pyproject.toml requires, with the extras that name others of its own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    waiting = list(extras)
    for extra in waiting:
        for text in project["optional-dependencies"][extra]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += sorted(requirement.extras)
            else:
                found.append(requirement)
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_package_has_one_version_and_hashes(name: str) -> None:
    for package, (requirement, hashes) in _locked(name).items():
        assert str(requirement.specifier).startswith("=="), package
        assert hashes, package
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("name", ALL)
def test_versions_are_the_tested_ones(name: str) -> None:
    tested = _tested() | {"setuptools": (LOCKS / "build.in").read_text().split("==")[1].strip()}
    for package, (requirement, _) in _locked(name).items():
        if not _OF_GPUS.fullmatch(package):
            assert str(requirement.specifier) == f"=={tested[package]}", REWRITE


@pytest.mark.parametrize("name", EXTRAS)
def test_all_that_the_project_requires_is_in_them(name: str) -> None:
    locked = _locked(name)
    for requirement in _wanted(EXTRAS[name]):
        package = canonicalize_name(requirement.name)
        assert package in locked, REWRITE
        (pin,) = locked[package][0].specifier
        assert requirement.specifier.contains(pin.version), REWRITE


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_both_kinds_of_nodes_are_meant(name: str, machine: str) -> None:
    where = {"platform_machine": machine, "sys_platform": "linux"}
    for package, (requirement, _) in _locked(name).items():
        marker = requirement.marker
        assert marker is None or marker.evaluate(where) or _OF_GPUS.fullmatch(package), package


def test_the_image_of_hem_stays_without_torch() -> None:
    assert not {"torch", "transformers", "vllm", "triton"} & _locked("hem.txt").keys()


def test_the_image_of_the_router_has_what_was_named_in_versions_that_the_project_takes() -> None:
    named = [line for line in (LOCKS / "router.in").read_text().splitlines() if line[0] != "#"]
    locked, required = _locked(ROUTER), {each.name: each for each in _wanted(["telemetry"])}
    for name in named:
        (pin,) = locked[canonicalize_name(name)][0].specifier
        assert required[name].specifier.contains(pin.version), REWRITE
    assert not {"kserve", "kubernetes", "scikit-learn", "scipy"} & locked.keys()


def test_each_lock_says_its_extras() -> None:
    assert {path.name for path in LOCKS.glob("*.txt")} == set(ALL)
    for name, extras in (*EXTRAS.items(), (ROUTER, [])):
        first = (LOCKS / name).read_text().splitlines()[0]
        assert first.endswith(f"Extras: {' '.join(extras) or 'none'}.")
