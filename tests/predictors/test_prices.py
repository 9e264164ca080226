"""The price file: what it says, what a call costs by it, and what is refused at the start."""

from pathlib import Path

import pytest

from predictors.contract.usage import Usage, parse_usage
from predictors.errors import ConfigurationError
from predictors.prices import Price, read_prices

USAGE = Usage(prompt_tokens=1_000_000, cached_tokens=600_000, completion_tokens=2_000_000)
YAML = """
currency: USD
models:
  large: {input: 0.15, output: 0.6, cached_input: 0.075}
  small: {input: 0, output: 0.01}
"""
JSON = """{"currency": "USD", "models": {
  "large": {"input": 0.15, "output": 0.6, "cached_input": 0.075},
  "small": {"input": 0, "output": 0.01}}}"""


def written(folder: Path, text: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", [YAML, JSON])
def test_a_call_costs_what_its_tokens_cost(tmp_path: Path, text: str) -> None:
    prices = read_prices(written(tmp_path, text))
    assert prices.currency == "USD"
    assert prices.cost(USAGE, "large") == pytest.approx(0.4 * 0.15 + 0.6 * 0.075 + 2 * 0.6)
    assert prices.cost(USAGE, "small") == pytest.approx(0.02)
    assert prices.cost(Usage(prompt_tokens=1), "large") == 1.5e-7


def test_the_first_name_with_a_price_counts(tmp_path: Path) -> None:
    prices = read_prices(written(tmp_path, YAML))
    assert prices.cost(USAGE, "other", "small", "large") == prices.cost(USAGE, "small")
    assert prices.cost(USAGE, "other") is None


def test_cached_input_costs_as_any_where_it_has_no_price() -> None:
    assert Price(input=2, output=1).cost(USAGE) == pytest.approx(2 + 2)


WRONG = {
    "an empty file": ("", "prices: "),
    "no currency": ("models: {m: {input: 1, output: 1}}", "currency: is required"),
    "a name of a currency": ("currency: dollar\nmodels: {m: {input: 1, output: 1}}", "currency: "),
    "no models": ("currency: USD\nmodels: {}", "models: "),
    "no price of output": (
        "currency: USD\nmodels: {m: {input: 1}}",
        "models.m.output: is required",
    ),
    "a price below nothing": ("currency: USD\nmodels: {m: {input: -1, output: 1}}", "not -1"),
    "a text": ("currency: USD\nmodels: {m: {input: '1', output: 1}}", "models.m.input: "),
    "no number": ("currency: USD\nmodels: {m: {input: .nan, output: 1}}", "models.m.input: "),
    "a slip of the pen": (
        "currency: USD\nmodels: {m: {input: 1, output: 1, cached: 1}}",
        "models.m.cached: Extra inputs are not permitted",
    ),
    "a model twice": (
        "currency: USD\nmodels:\n  m: {input: 1, output: 1}\n  m: {input: 2, output: 2}",
        ", line 4: the key 'm' is written twice",
    ),
    "no YAML": ("currency: [", ", line 1: "),
}


@pytest.mark.parametrize(("text", "fault"), WRONG.values(), ids=WRONG)
def test_what_is_no_price_file_is_refused_in_one_line(
    tmp_path: Path, text: str, fault: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        read_prices(path)
    message = str(raised.value)
    assert message.startswith(str(path)) and fault in message and "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none can't be read: No such file"):
        read_prices(tmp_path / "none")


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(3, 0, 2)),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 2},
            },
            Usage(3, 2, 2),
        ),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(3, 3, 0)),
        ({"completion_tokens": 2, "prompt_tokens_details": None}, Usage(0, 0, 2)),
        ({"prompt_tokens": "3", "completion_tokens": -2}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_read_and_never_fails(usage: object, read: Usage | None) -> None:
    assert parse_usage(usage) == read
