"""Which tritonserver stands in for Triton's image, and with which environment it is started."""

import subprocess
import sys
from pathlib import Path

import pytest

from inferencegraph.local.tritonserver import STUB, VARIABLE, TritonInstallation, find_triton
from predictors.errors import ConfigurationError


def installed(environment: Path, python: str = "3.11") -> Path:
    """The layout of an nvidia-pytriton wheel in a virtual environment."""
    root = environment / f"lib/python{python}/site-packages/pytriton/tritonserver"
    for folder in ("bin", "backends/python", f"python_backend_stubs/{python}"):
        (root / folder).mkdir(parents=True)
    (root / f"python_backend_stubs/{python}" / STUB).touch()
    binary = root / "bin/tritonserver"
    binary.write_text('#!/bin/sh\necho "$@"\necho "$PATH"\n')
    binary.chmod(0o755)
    (environment / "pyvenv.cfg").write_text("home = /opt/python/bin\nversion = 3.11.7\n")
    return root


def test_a_given_environment_is_the_only_one_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationError, match=rf"no tritonserver in {tmp_path}; `make triton`"):
        find_triton()
    root = installed(tmp_path)
    assert find_triton() == TritonInstallation(root, tmp_path)


def test_the_folder_of_make_triton_is_found_where_hem_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    root = installed(tmp_path / ".venv-triton")
    assert find_triton().root == root


def test_its_python_backend_gets_the_environments_interpreter(tmp_path: Path) -> None:
    found = TritonInstallation(installed(tmp_path, "3.12"), tmp_path)
    variables = found.variables({"PATH": "/usr/bin", "HOME": "/root"})
    assert variables == {
        "PATH": f"{tmp_path}/bin:/usr/bin",
        "LD_LIBRARY_PATH": "/opt/python/lib",
        "HOME": "/root",
    }
    found.prepare()
    found.prepare()
    assert (found.root / "backends/python" / STUB).resolve().parent.name == "3.12"


def test_a_python_that_the_wheel_does_not_know_is_named(tmp_path: Path) -> None:
    found = TritonInstallation(installed(tmp_path, "3.11"), tmp_path)
    (found.root / "python_backend_stubs/3.11" / STUB).unlink()
    with pytest.raises(ConfigurationError, match=r"no stub for Python 3\.11"):
        found.prepare()


def test_the_command_becomes_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    root = installed(tmp_path)
    command = [sys.executable, "-m", "inferencegraph.local.tritonserver", "--http-port", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    arguments, path = done.stdout.splitlines()
    assert arguments == f"--backend-directory {root}/backends --http-port 1"
    assert path.startswith(f"{tmp_path}/bin:")


def test_without_one_the_command_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    command = [sys.executable, "-m", "inferencegraph.local.tritonserver"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no tritonserver in ")
    assert "make triton" in done.stderr
