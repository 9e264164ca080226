"""APGR and CPT of a reference router on real questions, beside the figures it is known by."""

from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from transformers_hem.evaluation.metrics import ScoredRows, apgr, cpt80
from transformers_hem.evaluation.quality import gap_recovered
from transformers_hem.labels.labels import read_labels


def test_ridge_on_word_pairs_has_its_known_figures_on_mmlu(shared: Path) -> None:
    """TF-IDF word 1-2-grams into ridge(3) on cloud minus edge: APGR 0.655 +- 0.024 over folds."""
    labels = read_labels(shared / "data" / "mmlu_mixtral_gpt4.jsonl.gz")
    found = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(labels.queries):
        words = TfidfVectorizer(ngram_range=(1, 2))
        rows = words.fit_transform([labels.queries[i] for i in train])
        model = Ridge(alpha=3, solver="sparse_cg", tol=1e-3)
        model.fit(rows, (labels.cloud - labels.edge)[train])
        scores = model.predict(words.transform([labels.queries[i] for i in test]))
        part = labels.subset(test)
        table = ScoredRows(scores, 0.5, part.edge, part.cloud, part.hard)
        every = gap_recovered(scores, part.edge, part.cloud)
        found.append((apgr(table), every, cpt80(table)))
    by_bins, every, calls = np.mean(found, axis=0)
    assert abs(by_bins - 0.655) < 0.024
    assert abs(every - by_bins) < 0.01  # ten bins or every threshold: nearly the same
    assert 0.5 < calls < 0.7
