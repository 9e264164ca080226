"""Arrays of images and classes, as NumPy and as MNIST keep them."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from inferencegraph.evaluate.datasets import read_data
from predictors.errors import ConfigurationError
from tests.inferencegraph.evaluate.importing import imported

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
LABELS = np.array([7, 0, 3])


def as_npz(folder: Path) -> list[Path]:
    np.savez(folder / "both.npz", x_test=IMAGES, y_test=LABELS)
    return [folder / "both.npz"]


def as_npy(folder: Path) -> list[Path]:
    np.save(folder / "x.npy", IMAGES)
    np.save(folder / "y.npy", LABELS)
    return [folder / "x.npy", folder / "y.npy"]


def as_idx(folder: Path) -> list[Path]:
    images = struct.pack(">HBBIII", 0, 8, 3, 3, 2, 4) + IMAGES.tobytes()
    labels = struct.pack(">HBBI", 0, 8, 1, 3) + LABELS.astype(np.uint8).tobytes()
    (folder / "images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "labels-idx1-ubyte").write_bytes(labels)
    return [folder / "images-idx3-ubyte.gz", folder / "labels-idx1-ubyte"]


@pytest.mark.parametrize("write", [as_npz, as_npy, as_idx])
def test_images_become_inputs_that_evaluate_takes(tmp_path: Path, write: object) -> None:
    assert callable(write)
    rows, _ = imported(tmp_path, "images", *write(tmp_path))
    assert [row["reference"] for row in rows] == [7, 0, 3]
    assert rows[1]["inputs"] == [
        {"name": "image", "datatype": "FP32", "shape": [1, 2, 4], "data": list(range(8, 16))}
    ]
    items = read_data(tmp_path / "rows.jsonl").items
    assert [item.question.references for item in items] == [("7",), ("0",), ("3",)]


def test_pixels_are_divided(tmp_path: Path) -> None:
    options = ["divide_by=2", "tensor=x"]
    rows, _ = imported(tmp_path, "images", *as_npy(tmp_path), options=options)
    assert rows[0]["inputs"][0]["data"] == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert rows[0]["inputs"][0]["name"] == "x"


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"x.npy": IMAGES}, "give one .npz with images and labels, or a file of images and one"),
        ({"x.npy": IMAGES, "y.npy": LABELS[:2]}, "are not the classes of"),
        ({"x.npy": LABELS, "y.npy": IMAGES}, "has the labels: name the images first"),
        ({"x.npy": np.asfortranarray(IMAGES), "y.npy": LABELS}, "its order is Fortran's"),
        ({"x.npy": np.array([{}, {}]), "y.npy": LABELS}, "is no array of images or classes"),
        ({"x.npy": b"GIF89a", "y.npy": LABELS}, "neither an array of NumPy nor an IDX file"),
    ],
)
def test_other_arrays_are_refused_by_name(
    tmp_path: Path, files: dict[str, "np.ndarray | bytes"], fault: str
) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(ConfigurationError, match=fault):
        imported(tmp_path, "images", *(tmp_path / name for name in files))


def test_an_array_that_is_cut_off_is_no_import(tmp_path: Path) -> None:
    images, labels = as_npy(tmp_path)
    images.write_bytes(images.read_bytes()[:-3])
    with pytest.raises(ConfigurationError, match=r"x\.npy: ends in element 3 of 3: it is cut off"):
        imported(tmp_path, "images", images, labels)
    assert not (tmp_path / "rows.jsonl").exists()


def test_an_npz_with_other_names_says_which_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", pixels=IMAGES, digits=LABELS)
    with pytest.raises(ConfigurationError, match="It has pixels, digits; --option images=NAME"):
        imported(tmp_path, "images", tmp_path / "odd.npz")
    options = ["images=pixels", "labels=digits"]
    rows, _ = imported(tmp_path, "images", tmp_path / "odd.npz", options=options)
    assert len(rows) == 3
