"""Images and their classes as arrays: NumPy's .npz with both, two .npy files, or the two IDX files
of MNIST (http://yann.lecun.com/exdb/mnist/), packed or not. The images come first. Rows have
`inputs`, which `hem evaluate` sends, and the class's number as reference.

NumPy's format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from inferencegraph.evaluate.importing.importer import Importer, ImportOptions
from inferencegraph.evaluate.importing.report import Place
from inferencegraph.evaluate.importing.rows import Row
from predictors.errors import ConfigurationError, first_line
from predictors.jsonl import open_content

_IDX: Final = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# What NumPy raises for a header, a text of Python, that is damaged.
_DAMAGED: Final = (ValueError, TypeError, KeyError, EOFError, SyntaxError, tokenize.TokenError)
_MOST_BYTES: Final = 2**26  # of one image


class ImageOptions(ImportOptions):
    """`tensor` and `datatype` are the model's input; pixels are divided by `divide_by`. `images`
    and `labels` are names of arrays in an .npz."""

    tensor: str = "image"
    datatype: Literal["FP32", "FP64", "UINT8", "INT32", "INT64"] = "FP32"
    divide_by: Annotated[float, Field(gt=0)] = 1.0
    images: str | None = None
    labels: str | None = None


@dataclass(frozen=True, slots=True)
class _Array:
    """Of `shape`; `stream` has its elements, the last axis first to change."""

    where: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    stream: IO[bytes]

    def elements(self) -> "Iterator[np.ndarray[Any, Any]]":
        """Along the first axis. Raises ConfigurationError where the file ends too early."""
        size = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        for number in range(self.shape[0]):
            try:
                content = self.stream.read(size)
            except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                raise ConfigurationError(f"{self.where} can't be read: {error}") from None
            if len(content) != size:
                raise ConfigurationError(
                    f"{self.where}: ends in element {number + 1} of {self.shape[0]}: it is cut off"
                )
            yield np.frombuffer(content, self.dtype).reshape(self.shape[1:])


class Images(Importer):
    Options: ClassVar[type[ImportOptions]] = ImageOptions
    options: ImageOptions

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        with ExitStack() as opened:
            images, labels = self._arrays(paths, opened)
            if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
                raise ConfigurationError(
                    f"{labels.where}: {list(labels.shape)} of {labels.dtype} are not the classes "
                    f"of {images.where}: {list(images.shape)}"
                )
            pairs = zip(images.elements(), labels.elements(), strict=True)
            for number, (image, label) in enumerate(pairs, start=1):
                self.report.read += 1
                row = {"inputs": [self._tensor(image)], "reference": int(label)}
                yield Place(paths[0], number, "image"), row

    def _tensor(self, image: "np.ndarray[Any, Any]") -> dict[str, Any]:
        whole = self.options.datatype not in ("FP32", "FP64")
        values = image.ravel()
        if self.options.divide_by != 1.0:
            values = values / self.options.divide_by
        data = [int(v) if whole or float(v).is_integer() else float(v) for v in values.tolist()]
        shape = [1, *image.shape]
        return {
            "name": self.options.tensor,
            "datatype": self.options.datatype,
            "shape": shape,
            "data": data,
        }

    def _arrays(self, paths: Sequence[Path], opened: ExitStack) -> tuple[_Array, _Array]:
        if len(paths) == 1 and paths[0].name.endswith(".npz"):
            return self._of_npz(paths[0], opened)
        if len(paths) != 2:
            raise ConfigurationError(
                "give one .npz with images and labels, or a file of images and one of labels"
            )
        images, labels = (self._open(path, opened) for path in paths)
        if len(images.shape) < 2 and len(labels.shape) > 1:
            raise ConfigurationError(f"{images.where} has the labels: name the images first")
        return images, labels

    def _open(self, path: Path, opened: ExitStack) -> _Array:
        stream = opened.enter_context(open_content(path, self.reading.on_read))
        return _npy(stream, str(path)) if _is_npy(stream) else _idx(stream, str(path))

    def _of_npz(self, path: Path, opened: ExitStack) -> tuple[_Array, _Array]:
        try:
            archive = opened.enter_context(zipfile.ZipFile(path))
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            images = self._named(path, names, self.options.images, ("images", "x", "x_test"))
            labels = self._named(path, names, self.options.labels, ("labels", "y", "y_test"))
            return tuple(  # type: ignore[return-value]
                _npy(opened.enter_context(archive.open(f"{name}.npy")), f"{path}, array {name!r}")
                for name in (images, labels)
            )
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ConfigurationError(f"{path} can't be read: {error}") from None

    def _named(
        self, path: Path, names: Sequence[str], wanted: str | None, usual: Sequence[str]
    ) -> str:
        for name in (wanted,) if wanted is not None else usual:
            if name in names:
                return name
        option = usual[0]
        raise ConfigurationError(
            f"{path}: which array has the {option}? It has {', '.join(names) or 'none'}; "
            f"--option {option}=NAME says it"
        )


def _is_npy(stream: Any) -> bool:
    return bool(stream.peek(6)[:6] == np.lib.format.MAGIC_PREFIX)


def _npy(stream: IO[bytes], where: str) -> _Array:
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = read(stream)
    except _DAMAGED as error:
        raise ConfigurationError(f"{where}: no array of NumPy: {first_line(error)}") from None
    if fortran and len(shape) > 1:
        raise ConfigurationError(f"{where}: its order is Fortran's; np.ascontiguousarray turns it")
    return _checked(_Array(where, shape, dtype, stream))


def _idx(stream: IO[bytes], where: str) -> _Array:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX or not head[3]:
        raise ConfigurationError(f"{where}: neither an array of NumPy nor an IDX file")
    sizes = stream.read(4 * head[3])
    if len(sizes) != 4 * head[3]:
        raise ConfigurationError(f"{where}: is cut off")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    return _checked(_Array(where, shape, np.dtype(_IDX[head[2]]), stream))


def _checked(array: _Array) -> _Array:
    size = int(np.prod(np.array(array.shape[1:], dtype=np.float64))) * array.dtype.itemsize
    if not array.shape or array.dtype.kind not in "iufb" or not 0 < size <= _MOST_BYTES:
        raise ConfigurationError(
            f"{array.where}: {list(array.shape)} of {array.dtype} is no array of images or classes"
        )
    return array
