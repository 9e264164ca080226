"""What stands for an item is put back for it, and for nothing else."""

import time

import pytest

from transformers_hem.guards.placeholders import Placeholders, Written
from transformers_hem.guards.privacy.hiding import Hider

EMAIL = "anna@example.com"


def of(text: str, **items: str) -> Placeholders:
    placeholders = Placeholders()
    assert placeholders.add(((item, kind) for kind, item in items.items()), text)
    return placeholders


def hidden(placeholders: Placeholders, text: str) -> str:
    return Hider(placeholders).hide(text)


def test_the_same_item_has_the_same_placeholder_and_others_have_others() -> None:
    placeholders = Placeholders()
    placeholders.add([(EMAIL, "email"), ("b@c.de", "email"), (EMAIL, "email")], "")
    text = hidden(placeholders, f"{EMAIL} b@c.de {EMAIL}")
    assert text == "<EMAIL_1> <EMAIL_2> <EMAIL_1>"
    assert placeholders.put_back(text) == f"{EMAIL} b@c.de {EMAIL}"
    assert placeholders.kinds == {"email": 2}
    placeholders.add([("never.hidden@c.de", "email")], "")
    assert placeholders.kinds == {"email": 2}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nothing", "<EMAIL_1>"),
        ("<EMAIL_1> stands here", "<EMAIL_2>"),
        ("a variable called email_1", "<EMAIL_2>"),
        ("EMAIL_12 begins like two others", "<EMAIL_2>"),
        ("EMAIL_1, EMAIL_2 and Email_3", "<EMAIL_4>"),
    ],
)
def test_a_placeholder_that_a_text_has_is_not_used(text: str, name: str) -> None:
    assert hidden(of(text, email=EMAIL), EMAIL) == name


def test_many_placeholders_in_a_text_take_no_long_time() -> None:
    text = " ".join(f"<EMAIL_{number}>" for number in range(1, 50_000))
    assert hidden(of(text, email=EMAIL), EMAIL) == "<EMAIL_50000>"


def test_many_items_take_no_long_time() -> None:
    """Time that grew with their number for each character would be minutes."""
    items = [(f"person{number}@example.com", "email") for number in range(5000)]
    text = " ".join(item for item, _ in items) * 5
    placeholders = Placeholders()
    began = time.thread_time()
    placeholders.add(items, text)
    assert placeholders.put_back(hidden(placeholders, text)) == text
    assert time.thread_time() - began < 20


def test_a_later_text_with_a_placeholder_that_is_in_use_is_refused() -> None:
    assert not of("", email=EMAIL).add([], "I write <email_1>")


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("<EMAIL_1>", Written.TEXT),
        ("<email_1>", Written.TEXT),
        ("<EMAIL_1>", Written.JSON),
        (r"\u003cEMAIL_1\u003e", Written.JSON),
        (r"\u003Cemail_1\u003E", Written.JSON),
        ("EMAIL_1", Written.NAME),
    ],
)
def test_it_is_put_back_in_any_case_and_as_json_escapes_it(written: str, form: Written) -> None:
    assert of("", email=EMAIL).put_back(f"a {written} b", form) == f"a {EMAIL} b"


@pytest.mark.parametrize(
    "changed", ["EMAIL_1", "[EMAIL_1]", "<EMAIL 1>", "<EMAIL_2>", "< EMAIL_1 >", r"<EMAIL\_1>"]
)
def test_what_a_model_has_changed_more_stays(changed: str) -> None:
    assert of("", email=EMAIL).put_back(changed) == changed


def test_an_item_is_escaped_where_it_is_put_into_json() -> None:
    placeholders = of("", secret='a"b\nc')
    assert placeholders.put_back('{"x": "<SECRET_1>"}', Written.JSON) == r'{"x": "a\"b\nc"}'


def test_short_items_are_no_parts_of_words() -> None:
    placeholders = of("", word="Orion", other="X" * 9)
    assert hidden(placeholders, "Orion, Orionid") == "<WORD_1>, Orionid"
    assert hidden(placeholders, "a" + "X" * 9) == "a<OTHER_1>"


def test_an_item_within_another_one_is_not_replaced_there() -> None:
    placeholders = Placeholders()
    placeholders.add([("example.com", "word"), (EMAIL, "email")], "")
    assert hidden(placeholders, f"{EMAIL} at example.com") == "<EMAIL_1> at <WORD_1>"


def test_a_kind_of_any_name_makes_a_placeholder() -> None:
    assert hidden(of("", **{"my-project no. 5": "abcdefgh"}), "abcdefgh") == "<MY_PROJECT_NO_5_1>"
    assert hidden(of("", проект="abcdefgh"), "abcdefgh") == "<ITEM_1>"


@pytest.mark.parametrize("form", [Written.TEXT, Written.JSON])
def test_only_what_may_go_on_as_a_placeholder_is_held(form: Written) -> None:
    placeholders = of("", email=EMAIL, card="4111111111111111")
    held = {
        text: placeholders.held(text, form)
        for text in ("a <", "a <EM", "a <email_1", "a <CARD_", "a <b", "a <EMAIL_1>", "a > b", "")
    }
    assert list(held.values()) == [1, 3, 8, 6, 0, 0, 0, 0]
    assert placeholders.held(r"a \u00", form) == (4 if form is Written.JSON else 0)
    assert placeholders.held("get_e", Written.NAME) == 0
