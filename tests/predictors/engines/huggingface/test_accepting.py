"""What is taken of a draft: greedy and coupled answers are the model's own, token for token, and
those by rejection have its distribution."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from predictors.contract import Sampling
from predictors.engines.huggingface.accepting import Accepted, Drafted, Place, accept, places
from predictors.engines.huggingface.drawing import distribution, draw
from predictors.engines.huggingface.penalties import Penalties

VOCABULARY, ANSWERS, LENGTH = 4, 1500, 2
PLAIN = Sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.0)
GREEDY = replace(PLAIN, temperature=0.0)


def table(seed: int) -> torch.Tensor:
    """[token before, token]: logits of a model that looks at one token."""
    return torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(seed))


MODEL, DRAFTER = table(1), table(2)


def behind(logits: torch.Tensor, place: Place, draft: list[int] | None = None) -> torch.Tensor:
    """[drafted + 1, vocabulary]"""
    tokens = [*place.continued, *place.tokens]
    return logits[[tokens[-1], *(draft or [])]]


def drafted(place: Place, count: int, logits: torch.Tensor = DRAFTER) -> Drafted:
    """By the drafter's own distribution, and by the random numbers of the answer."""
    here, rows = place, []
    for _ in range(count):
        scores = Penalties().applied(behind(logits, here), [here])  # type: ignore[list-item]
        rows.append(distribution(scores, [here]) if not here.sampling.greedy else scores)
        token = int(draw(scores, [here]))  # type: ignore[list-item]
        here = places(here, [token])[-1]
    probabilities = None if place.sampling.greedy else torch.cat(rows)
    return Drafted(list(here.tokens[len(place.tokens) :]), probabilities)


def alone(place: Place, count: int) -> list[int]:
    """The model's own answer."""
    return drafted(place, count, MODEL).tokens


def answer(place: Place, rule: str, ahead: int = 2) -> tuple[list[int], int]:
    """LENGTH tokens, and how many of the drafts' were taken."""
    taken = 0
    while len(place.tokens) < LENGTH:
        drafter = replace(place, key=place.key if rule == "coupled" else place.key + 10**9)
        draft = drafted(drafter, ahead)
        logits = behind(MODEL, place, draft.tokens)
        got = accept(logits, place, draft, coupled=rule == "coupled")
        taken += got.drafted
        place = places(place, got.tokens)[-1]
    return list(place.tokens[:LENGTH]), taken


def wanted(sampling: Sampling) -> np.ndarray:
    """[VOCABULARY ** LENGTH]: the probability of each answer behind token 0."""
    shape = [VOCABULARY] * LENGTH
    probabilities = np.ones(shape)
    for tokens in np.ndindex(*shape):
        place = Place(sampling, 0, [0])
        for token in tokens:
            scores = Penalties().applied(behind(MODEL, place), [place])  # type: ignore[list-item]
            probabilities[tokens] *= float(distribution(scores, [place])[0, token])  # type: ignore[list-item]
            place = places(place, [token])[-1]
    return probabilities.ravel()


@pytest.mark.parametrize("rule", ["rejection", "coupled"])
@pytest.mark.parametrize(
    "sampling",
    [PLAIN, replace(PLAIN, temperature=0.7, repetition_penalty=1.3), replace(PLAIN, top_p=0.8)],
    ids=["plain", "cold and penalised", "nucleus"],
)
def test_answers_have_the_models_distribution(rule: str, sampling: Sampling) -> None:
    counts = np.zeros(VOCABULARY**LENGTH)
    taken = 0
    for key in range(ANSWERS):
        tokens, more = answer(Place(sampling, key, [0]), rule)
        counts[np.ravel_multi_index(tokens, [VOCABULARY] * LENGTH)] += 1
        taken += more
    expected = wanted(sampling)
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    meant = expected[possible] / expected.sum() * ANSWERS
    assert meant.min() > 1 and chisquare(counts[possible], meant).pvalue > 0.001
    assert taken > 0.2 * LENGTH * ANSWERS  # it is of some use


@pytest.mark.parametrize("sampling", [GREEDY, PLAIN, replace(PLAIN, top_p=0.7)])
def test_a_coupled_answer_is_the_models_own_whoever_drafts(sampling: Sampling) -> None:
    sampling = replace(sampling, repetition_penalty=1.2)
    for key in range(50):
        place = Place(sampling, key, [0])
        assert answer(place, "coupled", ahead=1 + key % 4)[0] == alone(place, LENGTH)


def test_of_one_distribution_everything_is_taken() -> None:
    for key in range(50):
        place = Place(PLAIN, key, [1])
        draft = drafted(place, 4, MODEL)
        for coupled in (True, False):
            got = accept(behind(MODEL, place, draft.tokens), place, draft, coupled=coupled)
            assert got.drafted == 4 and got.tokens[:4] == draft.tokens


def test_a_draft_of_certain_tokens_needs_no_probabilities() -> None:
    counts = np.zeros(VOCABULARY)
    for key in range(ANSWERS):
        place = Place(PLAIN, key, [0])
        got = accept(behind(MODEL, place, [2]), place, Drafted([2]), coupled=False)
        counts[got.tokens[0]] += 1
    expected = MODEL[0].softmax(-1).double()
    assert chisquare(counts, (expected / expected.sum() * ANSWERS).numpy()).pvalue > 0.001


def test_what_it_says_of_each_token_is_the_models_own() -> None:
    place = Place(replace(PLAIN, repetition_penalty=2.0), 1, [0])
    draft = Drafted([1, 2])
    got: Accepted = accept(behind(MODEL, place, [1, 2]), place, draft, coupled=True)
    before = [0, *got.tokens[:-1]]
    logprobs = MODEL[before].log_softmax(-1)
    assert got.logprobs == pytest.approx(logprobs[range(len(before)), got.tokens].tolist())
    best = logprobs.topk(2).values.exp()
    assert got.margins == pytest.approx((best[:, 0] - best[:, 1]).tolist())
