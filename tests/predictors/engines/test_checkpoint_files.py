"""Models that are one file, or that a Python package carries."""

import sys
from pathlib import Path

import pytest

from predictors.engines.checkpoint import check, is_local, resolve
from predictors.errors import ConfigurationError

GOOD = b"GGUF" + (3).to_bytes(4, "little") + bytes(64)


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: bytes) -> Path:
    inside = folder / "carried_model"
    inside.mkdir()
    (inside / "__init__.py").write_text("raise RuntimeError('never imported')\n")
    for name, content in files.items():
        (inside / f"{name}.gguf").write_bytes(content)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("carried_model", None)
    return inside


def test_a_gguf_file_is_a_model_where_the_engine_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(GOOD)
    assert resolve(str(path), None, gguf=True) == path
    check(path)
    with pytest.raises(ConfigurationError, match="is a file; give the directory it is in"):
        resolve(str(path), None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no GGUF file"),
        (b"GGUF", "is no GGUF file"),
        (b"<html>not found</html>", "is no GGUF file"),
        (b"GGUF" + (1).to_bytes(4, "little"), "GGUF version 1; 2 and 3 are read"),
        (b"GGUF" + (3).to_bytes(4, "big"), "GGUF version"),
    ],
)
def test_a_file_that_is_none_says_so(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        check(path)


def test_a_packages_one_file_is_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = package(tmp_path, monkeypatch, one=GOOD)
    assert is_local("package:carried_model")
    assert resolve("package:carried_model", None, gguf=True) == inside / "one.gguf"
    assert resolve("package:carried_model", None) == inside


def test_of_a_package_with_several_files_the_folder_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = package(tmp_path, monkeypatch, one=GOOD, two=GOOD)
    assert resolve("package:carried_model", None, gguf=True) == inside


@pytest.mark.parametrize("name", ["not_installed_at_all", "", "../x", "json.decoder"])
def test_a_package_that_is_not_there_says_how_to_get_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no such package; pip install"):
        resolve(f"package:{name}", None, gguf=True)
