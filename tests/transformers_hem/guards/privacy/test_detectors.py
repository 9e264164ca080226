"""What is found where, what is not, and that no text takes long."""

import base64
import random
import time

import phonenumbers
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.guards.privacy import DETECTORS
from transformers_hem.guards.privacy.base import PrivacyParameters, TookTooLong
from transformers_hem.guards.privacy.detectors import Detectors

OF_MODELS = {"location", "person"}
KINDS = sorted(set(DETECTORS.names()) - OF_MODELS)
ALL = Detectors(PrivacyParameters(kinds=",".join(KINDS)))
CARD = "4111111111111111"
KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def found(text: str) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in ALL.find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "item"),
    [
        ("write to <Anna.Lind+x@mail.example.co.uk>.", "email", "Anna.Lind+x@mail.example.co.uk"),
        ("an jürgen@müller.example!", "email", "jürgen@müller.example"),
        ("联系 user@例子.公司。", "email", "user@例子.公司"),
        ("call +49 30 1234567 now", "phone", "+49 30 1234567"),
        ("call 0049 30 1234567 now", "phone", "0049 30 1234567"),
        ("(212) 736-5000 x12, please", "phone", "(212) 736-5000 x12"),
        ("手机13812345678哦", "phone", "13812345678"),
        ("card 4111 1111 1111 1111 12/27", "card", "4111 1111 1111 1111"),
        ("4111  1111\n1111 - 1111", "card", "4111  1111\n1111 - 1111"),
        ("amex 3782-822463-10005.", "card", "3782-822463-10005"),
        ("to de89 3704 0044 0532 0130 00 and", "iban", "de89 3704 0044 0532 0130 00"),
        ("NL91ABNA0417164300", "iban", "NL91ABNA0417164300"),
        ("DNI 12345678-Z.", "national_id", "12345678-Z"),
        ("CF RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
        ("身份证11010519491231002X号", "national_id", "11010519491231002X"),
        ("NINO AB 12 34 56 C", "national_id", "AB 12 34 56 C"),
        (f"key={KEY}", "secret", KEY),
        ("the password: tr0ub4dor&3 is", "secret", "tr0ub4dor&3"),
        ("postgres://ada:s3cr3t@db/x", "secret", "s3cr3t"),
        ("from 8.8.8.8 today", "ip_address", "8.8.8.8"),
        ("mac 00:1B:44:11:3A:B7", "mac_address", "00:1B:44:11:3A:B7"),
    ],
)
def test_what_is_private_is_found_as_it_stands(text: str, kind: str, item: str) -> None:
    assert (kind, item) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "What is 12345 + 67890, and 1914-1918, and 2024-05-17 10:30?",
        "It costs $1,500,000.00, or 3.14159265 times as much.",
        f"card {CARD[:-1]}2",  # its last digit is wrong
        "iban DE88370400440532013000",
        "@decorator def f(self): pass; a @ b; user@localhost",
        "the password: is forgotten",
        "from 127.0.0.1 and 10.0.0.1 to 300.1.1.1",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_what_is_not_private_is_left_alone(text: str) -> None:
    assert found(text) == []


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


WRITTEN = {
    "full width": full_width,
    "zero width": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: "\xad".join(text),
    "combining marks": lambda text: "\u0301".join(text),
    "other dashes and blanks": lambda text: text.replace("-", "\u2011").replace(" ", "\xa0"),
    "Arabic digits": lambda text: text.translate({48 + n: 0x660 + n for n in range(10)}),
    "letters that look alike": lambda text: text.replace("a", "\u0430").replace("E", "\u0415"),
    "mathematical digits": lambda text: text.translate({48 + n: 0x1D7CE + n for n in range(10)}),
}


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("card", "4111-1111-1111-1111"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("email", "anna@example.com"),
        ("secret", KEY),
        ("phone", "+49 30 1234567"),
    ],
)
def test_it_is_found_however_unicode_writes_it(way: str, kind: str, item: str) -> None:
    written = WRITTEN[way](item)
    found_there = [part for each, part in found(f"vor: {written} danach") if each == kind]
    assert [part.rstrip("\u0301") for part in found_there] == [written.rstrip("\u0301")]


def test_base64_of_it_is_private_as_a_whole() -> None:
    hidden = base64.b64encode(b"mail anna@example.com").decode()
    assert found(f"see {hidden}") == [("email", hidden)]
    assert found(f"see {base64.b64encode(b'nothing that is private').decode()}") == []


@pytest.mark.parametrize(
    "text",
    [
        *("1" * 200_000, "1 " * 100_000, "a@" * 100_000, "a." * 100_000 + "@", "ab12 " * 40_000),
        *("sk-" * 60_000, "password:" * 20_000, "é\u0301" * 60_000, "+49 30 1234567 " * 4_000),
    ],
    ids=["digits", "numbers", "ats", "dots", "words", "prefixes", "names", "marks", "phones"],
)
def test_no_text_takes_long(text: str) -> None:
    """Time that grew with the square of its length would be minutes. Of this thread's own, as a
    busy machine takes any time."""
    began = time.thread_time()
    ALL.find(text, time.perf_counter() + 1000)
    assert time.thread_time() - began < 20


def test_what_is_not_looked_through_in_time_is_told() -> None:
    with pytest.raises(TookTooLong):
        ALL.find("+49 30 1234567 " * 4_000, time.perf_counter())


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"kinds": "emial"}, "unknown kind of private item 'emial'; .*email"),
        ({"regions": "XX"}, "regions: 'XX' is no region"),
        ({"countries": "XX"}, "countries: no ids of 'XX'"),
    ],
)
def test_what_it_does_not_know_is_refused(parameters: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        Detectors(PrivacyParameters.model_validate(parameters))


def test_every_kind_has_a_version() -> None:
    assert set(ALL.versions) == set(KINDS)
    assert all(version >= 1 for version in ALL.versions.values())


def test_numbers_without_a_countrys_code_are_judged_as_phonenumbers_does() -> None:
    """Of whose patterns one expression is made."""
    draw = random.Random(17)
    regions = ("US", "DE", "FR", "IN")
    phones = Detectors(PrivacyParameters(kinds="phone", regions=",".join(regions)))
    judged = []
    for _ in range(1500):
        digits = "".join(draw.choices("0123456789", k=draw.randrange(9, 12)))
        if digits.startswith(("00", "33", "49", "91")):
            continue  # it takes these for a country's code
        numbers = [phonenumbers.parse(digits, region) for region in regions]
        valid = any(map(phonenumbers.is_valid_number_for_region, numbers, regions))
        judged.append((bool(phones.find(digits)), valid))
    assert [ours for ours, _ in judged] == [theirs for _, theirs in judged]
    assert {valid for _, valid in judged} == {True, False}
