"""A folder of files as Kubernetes mounts a ConfigMap or a Secret."""

import os
from collections.abc import Mapping
from pathlib import Path


class Mounted:
    """Each file is a link to ..data/NAME, and ..data one to a folder that is another one after each
    change: all files change at once."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._count = 0
        self.put(files)

    def put(self, files: Mapping[str, str]) -> None:
        self._count += 1
        data = self.folder / f"..2026_{self._count}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        (self.folder / "..next").symlink_to(data.name)
        os.replace(self.folder / "..next", self.folder / "..data")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name
