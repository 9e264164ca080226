"""A kernel machine on an encoder's layers: by its definition, on disk, and by both backends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import Normalizer, StandardScaler

from predictors.errors import ConfigurationError
from tests.transformers_hem.encoder_routers import write_rows
from tests.transformers_hem.tiny_models import write_bert
from transformers_hem.algorithms.base import Batch
from transformers_hem.labels.labels import Labels, read_labels
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.runner import QueryTokens, open_network
from transformers_hem.routers.encoder.torch_network import layer_features
from transformers_hem.routers.kernel.learner import (
    KernelTraining,
    fit,
    learn,
)
from transformers_hem.routers.kernel.score import (
    BLOCKS,
    KERNEL_FILE,
    Kernel,
    KernelParameters,
    KernelRouter,
)
from transformers_hem.routers.training import train

CHOSEN = KernelTraining(encoder="any", components=6, gamma=0.7, landmarks=200, c=10)
WIDTH, ROWS = 8, 120

Features = NDArray[np.float32]


@pytest.fixture(scope="module")
def features() -> Features:
    """Ten times as large in one block as in another, as layers' features are."""
    rng = np.random.default_rng(0)
    scale = np.repeat([1.0, 10.0, 0.1], WIDTH)
    return (rng.normal(size=(ROWS, BLOCKS * WIDTH)) * scale + 3).astype(np.float32)


@pytest.fixture(scope="module")
def labels(features: Features, tmp_path_factory: pytest.TempPathFactory) -> Labels:
    """The edge is right where the first feature is high, the cloud but for a tenth."""
    edge, cloud = features[:, 0] > 3, features[:, WIDTH] > -9
    rows: list[dict[str, object]] = [
        {"query": f"{i}", "edge_correct": bool(edge[i]), "cloud_correct": bool(cloud[i])}
        for i in range(ROWS)
    ]
    return read_labels(write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", rows))


def test_it_is_scikit_learns_pipeline(features: Features, labels: Labels) -> None:
    """With every row a landmark, Nystroem's map is the kernel's own, whatever their order."""
    known, asked = slice(0, 90), slice(90, None)
    scaler = StandardScaler().fit(features[known])

    def scaled(rows: Features) -> Features:
        blocks = np.split(scaler.transform(rows), BLOCKS, axis=1)
        unit = np.concatenate([Normalizer().transform(block) for block in blocks], axis=1)
        return np.asarray(unit / np.sqrt(BLOCKS), np.float32)

    pca = PCA(6, svd_solver="covariance_eigh").fit(scaled(features[known]))
    nystroem = Nystroem(gamma=0.7, n_components=90)
    mapped = nystroem.fit_transform(pca.transform(scaled(features[known])))
    others = nystroem.transform(pca.transform(scaled(features[asked])))
    right = [
        LogisticRegression(C=10.0, tol=1e-8).fit(mapped, side[known]).predict_proba(others)[:, 1]
        for side in (labels.edge, labels.cloud)
    ]
    kernel = fit(features[known], labels.subset(np.arange(90)), CHOSEN, 3)
    found = kernel.difficulty(features[asked])
    # Landmarks and components are rounded to 16 bits, and small eigenvalues left out.
    assert found == pytest.approx((1 + right[1] - right[0]) / 2, abs=5e-3)
    assert found.std() > 0.05


def test_scores_of_the_rows_are_by_kernels_that_never_saw_them(
    features: Features, labels: Labels
) -> None:
    kernel, out_of_fold = learn(features, labels, CHOSEN, seed=0)
    gains = labels.cloud - labels.edge
    seen, unseen = (
        float(np.corrcoef(each, gains)[0, 1])
        for each in (kernel.difficulty(features), out_of_fold.scores)
    )
    assert 0.3 < unseen < seen - 0.05


def test_it_is_the_same_from_its_file(features: Features, labels: Labels, tmp_path: Path) -> None:
    kernel = fit(features, labels, CHOSEN, 0)
    kernel.save(tmp_path / KERNEL_FILE)
    loaded = Kernel.load(tmp_path / KERNEL_FILE)
    assert (loaded.difficulty(features) == kernel.difficulty(features)).all()
    assert loaded.difficulty(features[:0]).shape == (0,)


def test_features_that_never_change_and_few_rows_are_no_trouble(
    features: Features, labels: Labels
) -> None:
    same = np.concatenate([features[:12, :-WIDTH], np.ones((12, WIDTH), np.float32)], axis=1)
    kernel = fit(same, labels.subset(np.arange(12)), CHOSEN, 0)
    found = kernel.difficulty(same)
    assert np.isfinite(found).all() and found.std() > 0.05


@pytest.mark.parametrize("damage", ["cut", "not finite", "shape", "missing"])
def test_a_damaged_file_is_named(
    features: Features, labels: Labels, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / KERNEL_FILE
    fit(features, labels, CHOSEN, 0).save(path)
    tensors = load_file(path)
    if damage == "not finite":
        tensors["weights"][3] = np.nan
    elif damage == "shape":
        tensors["weights"] = tensors["weights"][:-1]
    elif damage == "missing":
        del tensors["centre"]
    save_file(tensors, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match=rf"{KERNEL_FILE} is not a router"):
        Kernel.load(path)


def test_layer_features_leave_padding_out() -> None:
    """Of six layers: the mean after the third, the maximum after the fourth, the first token
    after the fifth."""
    generator = torch.Generator().manual_seed(0)
    states = tuple(torch.randn(2, 5, 3, generator=generator) - 2 for _ in range(7))
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    found = layer_features(states, mask)
    assert found.shape == (2, 9)
    for row, length in ((0, 3), (1, 5)):
        parts = (
            states[3][row, :length].mean(0),
            states[4][row, :length].amax(0),
            states[5][row, 0],
        )
        assert torch.allclose(found[row], torch.cat(parts), atol=1e-6)


def test_layers_of_a_shallow_model_are_those_it_has(tmp_path: Path) -> None:
    directory = EncoderDirectory.open(str(write_bert(tmp_path / "bert")))
    network = open_network(directory, "torch", output="layers", threads=0)
    tokens = QueryTokens(directory)
    found = network.run(tokens.pad(tokens.rows(["what is 1 + 2 ?", "hard"])))
    assert found.shape == (2, 3 * 16) and np.isfinite(found).all()


def test_both_backends_score_alike(encoder_routers: dict[str, Path], tmp_path: Path) -> None:
    room = encoder_routers["KernelRouter"].parent
    queries = ("easy", "hard what is 7 + 81 ?", "what " * 500, "\u00fc")
    found = {}
    for written in ("safetensors", "onnx", "int8"):
        parameters = {"encoder": str(room / "bert"), "format": written, "max_tokens": "32"}
        train(room / "rows.jsonl", "KernelRouter", tmp_path / written, parameters=parameters)
        router = KernelRouter(KernelParameters(router=str(tmp_path / written)))
        found[written] = router.raw(Batch(len(queries), texts=queries))
        alone = [router.raw(Batch(1, texts=(query,)))[0] for query in queries]
        assert found[written] == pytest.approx(alone, abs=1e-5)
    assert found["onnx"] == pytest.approx(found["safetensors"], abs=1e-3)
    assert found["int8"] == pytest.approx(found["safetensors"], abs=0.1)
    assert found["safetensors"].std() > 0.02
