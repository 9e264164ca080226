"""The tables that lifelong learning is simulated on, orders of arrival, and who learns there."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from predictors import embedded as pair
from tests.benchmarks.lifelong_stream import Floats, Learn, Order, Rows, Table
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.directory import locate
from transformers_hem.routers.encoder.router import ENCODER
from transformers_hem.routers.encoder.training import run_all
from transformers_hem.routers.fitting import OutOfFold, folds
from transformers_hem.routers.kernel.learner import KernelTraining, Space, settled
from transformers_hem.routers.linear.features import FeatureConfig, HashedQuery, extract
from transformers_hem.routers.linear.learner import fit_linear
from transformers_hem.routers.linear.score import link
from transformers_hem.routers.linear.texts import CONFIG, Texts, columns_of, matrix

PUBLIC = ("mmlu", "gsm8k")
FAMILIES = ("conversion", "strings", "arithmetic")  # the last is new after the shift
BASE, HALF, FIRST_HALF, UPCOMING = 500, 4000, 3000, 2000  # rows of the public tables
EMBEDDED_BASE, EMBEDDED_BEFORE, EMBEDDED_AFTER, EMBEDDED_UPCOMING = 700, 1000, 1667, 2500
BUCKETS = 256  # of the bandit's hashed words
COMPONENTS = 128  # of the bandit's features of the encoder


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as lines:
        return [json.loads(line) for line in lines]


def _table(rows: list[dict[str, Any]], topics: list[str]) -> Table:
    """What regressions of words read is at hand, as in a store: a simulation reads each text some
    hundred times."""
    outcomes = [[row["edge_correct"], row["cloud_correct"]] for row in rows]
    texts = [row["query"] for row in rows]
    numbers = {topic: number for number, topic in enumerate(dict.fromkeys(topics))}
    return Table(
        [HashedQuery(q, extract(q, FeatureConfig().buckets)) for q in texts],
        np.array(outcomes, dtype=float),
        np.array([numbers[topic] for topic in topics]),
    )


def public(shared: Path) -> Table:
    """MMLU, by its subjects, and GSM8K, of Mixtral-8x7B and GPT-4."""
    files = [_rows(shared / "data" / f"{name}_mixtral_gpt4.jsonl.gz") for name in PUBLIC]
    rows = [row for file in files for row in file]
    return _table(rows, [row.get("subject", "gsm8k") for row in rows])


def public_order(table: Table, seed: int) -> Order:
    """Topics in a drawn order: those with half of the rows come first, the others after the
    shift."""
    rng = np.random.default_rng(seed)
    topics = rng.permutation(table.topics.max() + 1)
    rows = np.cumsum(np.bincount(table.topics)[topics])
    cut = 1 + int(np.argmin(np.abs(rows - rows[-1] / 2)))
    return _shifted(table, topics[:cut], HALF, rng, seed)


def first_public_order(table: Table, seed: int) -> Order:
    """As it was simulated first: half of the topics, however many rows they have, and a shorter
    stream."""
    rng = np.random.default_rng(seed)
    topics = rng.permutation(table.topics.max() + 1)
    return _shifted(table, topics[: len(topics) // 2], FIRST_HALF, rng, seed)


def _shifted(table: Table, topics: Rows, half: int, rng: np.random.Generator, seed: int) -> Order:
    """`half` rows of these topics, then of the others, as far as there are."""
    first = np.isin(table.topics, topics)
    old, new = (rng.permutation(np.flatnonzero(each)) for each in (first, ~first))
    before, after = min(half, len(old) - BASE), min(half, len(new) - UPCOMING // 2)
    stream = np.concatenate([old[BASE : BASE + before], new[:after]])
    return Order(old[:BASE], stream, new[after : after + UPCOMING], before, seed)


def embedded() -> Table:
    """What the embedded pair made of questions of its generator."""
    rows = _rows(Path(pair.__file__).parent / "data" / "labels.jsonl.gz")
    rows.sort(key=lambda row: FAMILIES.index(row["family"]))
    return _table(rows, [row["family"] for row in rows])


def embedded_order(table: Table, seed: int) -> Order:
    """Two families first, and a third among them after the shift."""
    rng = np.random.default_rng(seed)
    newest = int(table.topics.max())
    old = rng.permutation(np.flatnonzero(table.topics != newest))
    ends = np.cumsum([EMBEDDED_BASE, EMBEDDED_BEFORE])
    every = np.concatenate([old[ends[1] :], np.flatnonzero(table.topics == newest)])
    rest = rng.permutation(every)
    stream = np.concatenate([old[ends[0] : ends[1]], rest[:EMBEDDED_AFTER]])
    upcoming = rest[EMBEDDED_AFTER : EMBEDDED_AFTER + EMBEDDED_UPCOMING]
    return Order(old[: ends[0]], stream, upcoming, EMBEDDED_BEFORE, seed)


def linear(table: Table) -> Learn:
    """As `hem train --algorithm LinearRouter` learns."""
    texts = Texts.of(table.queries, CONFIG.buckets)

    def learn(rows: Rows, labels: Labels) -> tuple[Floats, OutOfFold]:
        model, out_of_fold = fit_linear(labels, seed=0)
        weights = model.weights[columns_of(model.features)]
        sums = matrix(model.features, texts) @ weights + model.config.intercepts
        return np.array([link(model.config.link, each) for each in sums.tolist()]), out_of_fold

    return learn


def layers(table: Table) -> Floats:
    """[N, F]: what the encoder of embedded:best, which was not trained, reads in each query."""
    encoder = locate("embedded:best") / ENCODER
    texts = [str(query) for query in table.queries]
    return np.asarray(run_all(encoder, 256, texts, output="layers", of=np.stack))


def kernel(features: Floats) -> Learn:
    """As `hem train --algorithm KernelRouter` learns, with its defaults; but that all folds compare
    queries in the same space, in which no label has a part. That is a third of the time."""
    chosen = KernelTraining.model_construct()

    def learn(rows: Rows, labels: Labels) -> tuple[Floats, OutOfFold]:
        space = Space.of(features[rows], chosen, seed=0)
        mapped = space.mapped(features[rows])
        whole = space.kernel(mapped, labels, chosen.c)
        if labels.weights is None:  # nobody judges the start router, nor the informed one
            return whole.difficulty(features), OutOfFold.of(np.zeros(len(rows)), [])
        parts, sums = folds(labels.hard, 0), np.zeros((len(rows), 2))
        for train, test in parts:
            part = space.kernel(mapped[train], labels.subset(train), chosen.c)
            sums[test] = part.sums(features[rows[test]])
        scaled, out_of_fold = settled(whole, sums, labels, parts)
        return scaled.difficulty(features), out_of_fold

    return learn


def word_features(table: Table) -> Floats:
    """[N, D]: a bandit's, of the words and lengths that LinearRouter reads, hashed with a sign
    (Weinberger et al. 2009, arXiv 0902.2206)."""
    config = FeatureConfig()
    texts = [extract(query, config.buckets) for query in table.queries]
    found = np.zeros((len(texts), BUCKETS))
    for row, text in enumerate(texts):
        signs = 1 - 2 * (text.buckets // BUCKETS % 2)
        np.add.at(found[row], text.buckets % BUCKETS, signs / np.sqrt(len(text.buckets)))
    lengths = np.stack([text.lengths for text in texts])
    lengths = (lengths - lengths.mean(axis=0)) / lengths.std(axis=0)
    return np.hstack([found, 0.3 * lengths, np.ones((len(texts), 1))])


def encoder_features(features: Floats, base: Rows) -> Floats:
    """[N, D]: a bandit's, principal components of what KernelRouter reads."""
    mean, deviation = features[base].mean(axis=0), features[base].std(axis=0)
    scaled = (features - mean) / np.where(deviation > 0, deviation, 1)
    found = PCA(COMPONENTS, random_state=0).fit(scaled[base]).transform(scaled)
    found = found / np.linalg.norm(found, axis=1, keepdims=True).mean()
    return np.hstack([found, np.ones((len(found), 1))])
