"""Runs the tritonserver of an nvidia-pytriton wheel, which stands in for Triton's image.

    python -m inferencegraph.local.tritonserver --model-repository DIR --http-port 8000

The wheel is looked for in $TRITON_VENV alone if that is set, else in .venv-triton (made by `make
triton`) and in the environment that runs this. Its Python backend runs models with the first
`python3` on the PATH, so that the PATH begins with the wheel's environment. Unlike the image of a
cluster, it has the Python backend only.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from predictors.errors import ConfigurationError
from predictors.serving.command import run

VARIABLE = "TRITON_VENV"  # no HEM_ name: `hem up` passes none of those on to its services
FOLDER = ".venv-triton"
STUB = "triton_python_backend_stub"
_LAYOUT = "lib/python3.*/site-packages/pytriton/tritonserver"


@dataclass(frozen=True, slots=True)
class TritonInstallation:
    """`root` is the `tritonserver` folder of the wheel, `environment` the prefix that holds it."""

    root: Path
    environment: Path

    @property
    def command(self) -> list[str]:
        """The server with its backends; options follow."""
        binary = str(self.root / "bin/tritonserver")
        return [binary, "--backend-directory", str(self.root / "backends")]

    @property
    def python_version(self) -> str:
        """`3.11`, from lib/python3.11."""
        return self.root.parents[2].name.removeprefix("python")

    def variables(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """`inherited` with what the Python backend needs to find its interpreter and libpython."""
        libraries = self._base_prefix() / "lib"
        return {
            **inherited,
            "PATH": _joined(self.environment / "bin", inherited.get("PATH")),
            "LD_LIBRARY_PATH": _joined(libraries, inherited.get("LD_LIBRARY_PATH")),
        }

    def prepare(self) -> None:
        """Links the Python backend's stub for this Python version to where the backend looks for
        it. Raises ConfigurationError for a version that the wheel has no stub for."""
        stub = self.root / "python_backend_stubs" / self.python_version / STUB
        link = self.root / "backends/python" / STUB
        if link.exists():
            return
        if not stub.is_file():
            raise ConfigurationError(f"{self.root} has no stub for Python {self.python_version}")
        try:
            link.symlink_to(stub)
        except FileExistsError:
            pass  # another server, started at the same time
        except OSError as error:
            raise ConfigurationError(f"can't link {link}: {error.strerror}") from None

    def _base_prefix(self) -> Path:
        """Where the environment's interpreter comes from; its `lib` holds libpython."""
        configuration = self.environment / "pyvenv.cfg"
        text = configuration.read_text() if configuration.is_file() else ""
        home = re.search(r"^home\s*=\s*(.+?)\s*$", text, re.MULTILINE)
        return Path(home[1]).parent if home else self.environment


def find_triton() -> TritonInstallation:
    """Raises ConfigurationError that says how to install it."""
    places = list(_places())
    for environment in places:
        for root in sorted(environment.glob(_LAYOUT)):
            if os.access(root / "bin/tritonserver", os.X_OK):
                return TritonInstallation(root, environment)
    listed = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ConfigurationError(
        f"no tritonserver in {listed}; `make triton` installs one into {FOLDER} (Linux, x86-64), "
        f"or set {VARIABLE} to an environment that has nvidia-pytriton"
    )


def main() -> None:
    installation = find_triton()
    installation.prepare()
    command = [*installation.command, *sys.argv[1:]]
    sys.stdout.flush()
    os.execve(command[0], command, installation.variables(os.environ))


def _places() -> Iterator[Path]:
    if environment := os.environ.get(VARIABLE):
        yield Path(environment).absolute()
        return
    yield Path.cwd() / FOLDER
    yield Path(__file__).resolve().parents[2] / FOLDER
    yield Path(sys.prefix)


def _joined(first: Path, rest: str | None) -> str:
    return f"{first}{os.pathsep}{rest}" if rest else str(first)


if __name__ == "__main__":
    run(main)
