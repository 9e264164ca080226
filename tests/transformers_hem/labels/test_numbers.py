"""Numbers as people and models write them."""

import pytest

from tests.transformers_hem.labels.questions import question
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import Pair
from transformers_hem.labels.scorers.numeric import Numeric, NumericOptions, final_number


def same(text: str, number: float | None) -> None:
    read = final_number(text)
    assert read == (None if number is None else pytest.approx(number, rel=1e-12)), read


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Die Antwort ist 3,5", 3.5),
        ("Die Antwort ist 1.234,56", 1234.56),
        ("Die Antwort ist 1.234.567 Euro.", 1234567),
        ("La réponse est 1\u202f234,5.", 1234.5),
        ("La réponse est 12\u00a0000 €", 12000),
        ("La respuesta es 1.234.567,89.", 1234567.89),
        ("Es sind 0,5 Liter.", 0.5),
        ("0,234", 0.234),
        ("0.234", 0.234),
        ("R$ 1.234,50", 1234.5),
        ("1'234.50 Franken", 1234.5),
        ("1\u2019234\u2019567", 1234567),
        ("12,34,567 rupees", 1234567),
        ("₹ 1,23,45,678.90", 12345678.9),
        ("1,234,567.891", 1234567.891),
        ("1 234 567", 1234567),
        ("12\u2009000", 12000),
        ("12_000", 12000),
        ("12~000", 12000),
        (r"12\ 000", 12000),
        ("1234,567", 1234.567),
        ("1234.567", 1234.567),
        ("The answers are 3.5,4.5", 4.5),
        ("1.2.3", 3),
        ("١٢٣٫٤", 123.4),
        (
            "الإجابة هي ١٬٢٣٤٬٥٦٧",
            1234567,
        ),
        ("۴۲", 42),
        ("उत्तर: ४२", 42),
        ("１２，３４５，６７８", 12345678),
    ],
)
def test_separators(text: str, number: float) -> None:
    same(text, number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is negative 5.", -5),
        ("The answer is minus 5.", -5),
        ("It is negative $5", -5),
        ("minus 5", -5),
        ("The answer is minus 3.5 degrees", -3.5),
        ("La réponse est moins 5.", -5),
        ("La respuesta es menos 5.", -5),
        ("答案是负5", -5),
        ("答案是-5", -5),
        ("答案是\u22125。", -5),
        ("答えはマイナス5です", -5),
        ("정답은 -5입니다", -5),
        ("Ответ: \u22125", -5),
        ("Ответ \u2014 5", 5),
        ("The answer is \u22125.", -5),
        ("The answer is \uff0d5.", -5),
        ("(-5)", -5),
        ("$-\\frac{1}{2}$", -0.5),
        ("10 minus 5", 5),
        ("x minus 5", 5),
        ("(2) minus 5", 5),
        ("(3-2) minus 1", 1),
        ("A minus sign and 5", 5),
        ("the negative numbers 5", 5),
        ("2020\u201321", 21),
    ],
)
def test_signs(text: str, number: float) -> None:
    same(text, number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 3.5 × 10^6", 3.5e6),
        ("The answer is \\(2 \\times 10^3\\)", 2000),
        (r"\boxed{3.5 \times 10^{6}}", 3.5e6),
        (r"\boxed{3.5 \cdot 10^{-6}} metres in 2 minutes", 3.5e-6),
        ("3.5 x 10^6", 3.5e6),
        ("3.5*10^6", 3.5e6),
        ("3.5*10**6", 3.5e6),
        ("3.5 ×10⁶", 3.5e6),
        ("3,5·10⁻⁶", 3.5e-6),
        ("10^6", 1e6),
        ("10⁶", 1e6),
        ("10^{-3}", 1e-3),
        ("-2 x 10^3", -2000),
        ("1e6", 1e6),
        ("1E+6", 1e6),
        ("2.5e-3 m", 2.5e-3),
        ("2^10", 1024),
        ("25 m²", 25),
        ("25 m^2", 25),
        ("25 m^{2}", 25),
        ("5 m s^{-1}", 5),
        ("CO₂: 5", 5),
        ("5x = 20", 20),
        ("10 x 10 = 100", 100),
        ("the 2 x 4 board", 4),
        ("9^999", None),
        ("0^-1", None),
        ("6.02 × 10<sup>23</sup>", 6.02e23),
        ("2,5 × 10^(-3)", 2.5e-3),
        ("4.5 * 10 ^ 3", 4500),
    ],
)
def test_powers(text: str, number: float | None) -> None:
    same(text, number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It is 1.5 million.", 1.5e6),
        ("The answer is $1.5 million.", 1.5e6),
        ("$1.5M", 1.5e6),
        ("$5k", 5000),
        ("€2bn", 2e9),
        ("$2B", 2e9),
        ("2.5 billion people", 2.5e9),
        ("3 trillion", 3e12),
        ("5 thousand", 5000),
        ("5 hundred", 500),
        ("5 lakh", 5e5),
        ("1.5 lakhs", 1.5e5),
        ("2 crore", 2e7),
        ("1 crore 20 lakh", 1.2e7),
        ("2 million and 5 thousand", 2005000),
        ("1,5 Millionen", 1.5e6),
        ("2 Milliarden Euro", 2e9),
        ("2 Mrd. Euro", 2e9),
        ("1,5 Mio. Euro", 1.5e6),
        ("1,5 millones", 1.5e6),
        ("2 mil millones", 2e9),
        ("1,5 milioni", 1.5e6),
        ("1,5 milhões", 1.5e6),
        ("2 milliards", 2e9),
        ("1,5 млн", 1.5e6),
        ("2 миллиарда", 2e9),
        ("150万", 1.5e6),
        ("1.5亿", 1.5e8),
        ("3万5000円", 35000),
        ("1億 2000万", 1.2e8),
        ("5만 원", 50000),
        ("5 लाख", 5e5),
        ("2 करोड़", 2e7),
        ("5 مليون", 5e6),
        (r"1.5 \text{ million}", 1.5e6),
        ("-1.5 million", -1.5e6),
        ("1/2 million", 5e5),
        ("1½ million", 1.5e6),
        ("5 km", 5),
        ("300 K", 300),
        ("5 m", 5),
        ("5 millimetres", 5),
        ("5 milligrams", 5),
        ("3千米", 3),
        ("5 millionaires", 5),
        ("5 billionths", 5),
        ("1.5 million in 3 years", 3),
        ("5k", 5000),
        ("5 kg", 5),
        ("300K", 300),
        ("5 lakh crore", 5e12),
        ("2 hundred thousand", 2e5),
        ("1.2万人", 12000),
        ("₹5 lakh", 5e5),
    ],
)
def test_words_for_large_numbers(text: str, number: float) -> None:
    same(text, number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"\boxed{\tfrac{1}{2}}", 0.5),
        (r"\boxed{\dfrac{-1}{2}}", -0.5),
        (r"\frac34", 0.75),
        ("The answer is 3½", 3.5),
        ("The answer is 3 1/2 cups", 3.5),
        ("The answer is 3 and 1/2 cups", 3.5),
        ("The answer is ¾", 0.75),
        (r"3\tfrac{1}{2}", 3.5),
        ("-3½", -3.5),
        ("⅕", 0.2),
        ("1⁄2", 0.5),
        ("50 %", 50),
        ("12,5 %", 12.5),
        ("5\u202f%", 5),
        ("€5,00", 5),
        ("5,00 €", 5),
        ("5元", 5),
        ("US$ 5", 5),
        ("Rs. 500", 500),
        ("42分", 42),
        ("42°C", 42),
        (r"\dfrac{1{,}000}{3}", 1000 / 3),
        (r"\boxed{42 \text{ apples}}", 42),
        (r"\boxed{x = 42}", 42),
        (r"\boxed{42\%}", 42),
        ("٣٫٥", 3.5),
        ("१२,३४,५६७", 1234567),
    ],
)
def test_fractions_and_units(text: str, number: float) -> None:
    same(text, number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("因此，答案为 42。第2步验证。", 42),
        ("答案是42，因为6×7=42，共7步", 42),
        ("答案：42（第3题）", 42),
        ("答案不是5，而是6。共7步", 6),
        ("Die Antwort ist 42. Schritt 2 prüft es.", 42),
        ("Die Antwort ist nicht 5, sondern 6. Siehe Schritt 2.", 6),
        ("Das Ergebnis lautet 42. (Aufgabe 7)", 42),
        ("Antwort: 42\n\nSchritt 2 von 3", 42),
        ("La respuesta es 42. Véase el paso 2.", 42),
        ("La respuesta no es 5, es 6. Paso 2.", 6),
        ("La réponse est 42. Voir 2.", 42),
        ("La réponse n'est pas 5 mais 6. Voir 2.", 6),
        ("La risposta è 42. Passo 2.", 42),
        ("A resposta é 42. Passo 2.", 42),
        ("Ответ: 42. Шаг 2.", 42),
        (
            "Правильный ответ \u2014 42. Шаг 2.",
            42,
        ),
        ("答えは42です。手順2。", 42),
        ("答えは5ではなく6です。", 6),
        ("정답은 42입니다. 2단계.", 42),
        ("정답은 5가 아니라 6입니다.", 6),
        (
            "الإجابة هي 42. الخطوة 2.",
            42,
        ),
        (
            "الإجابة: ٤٢. الخطوة ٢",
            42,
        ),
        ("उत्तर: 42। चरण 2", 42),
        ("<answer>42</answer> in 3 steps", 42),
        ('{"answer": [42], "steps": 3}', 42),
        ('{"答案": 42, "n": 3}', 42),
    ],
)
def test_the_number_that_is_stated(text: str, number: float) -> None:
    same(text, number)


async def score(answer: str, *references: str, **options: object) -> tuple[float, bool]:
    """Of the edge; and whether it was read."""
    scorer = Numeric(NumericOptions.model_validate(options))
    asked = question("q", *references)
    pair = await scorer.score(asked, answer, "")
    return pair.edge, scorer.reads(asked, answer)


RIGHT, WRONG, NOT_READ = (1.0, True), (0.0, True), (0.0, False)


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("The answer is 1.234", "1.234", RIGHT),
        ("The answer is 3.142", "3.142", RIGHT),
        ("The answer is 12,000 dollars.", "12000", RIGHT),
        ("The answer is 1,234", "1234", RIGHT),
        ("1234", "1,234", RIGHT),
        ("Die Antwort ist 1.234", "1234", NOT_READ),
        ("Die Antwort ist 12.000 Euro.", "12000", NOT_READ),
        ("1,234", "1.234", NOT_READ),
        ("1234", "1.234", NOT_READ),
        ("1.234", "1,234", NOT_READ),
        ("1.234", "5", WRONG),
        ("1,234", "5", WRONG),
        ("1.234.567", "1234567", RIGHT),
        ("1.234,5", "1234.5", RIGHT),
        ("0.234", "234", WRONG),
        ("3,5", "3.5", RIGHT),
        ("no idea", "3.5", NOT_READ),
        ("<think>The answer is 5", "5", NOT_READ),
        ("", "5", NOT_READ),
    ],
)
async def test_a_number_that_may_be_two_is_never_guessed(
    answer: str, reference: str, verdict: tuple[float, bool]
) -> None:
    assert await score(answer, reference) == verdict


@pytest.mark.parametrize(
    ("answer", "reference", "decimal", "verdict"),
    [
        ("1.234", "1234", "comma", RIGHT),
        ("1,234", "1.234,0", "comma", WRONG),
        ("1,234", "1234", "comma", WRONG),
        ("1,234", "1,234", "comma", RIGHT),
        ("1.234", "1234", "point", WRONG),
        ("1.234", "1.234", "point", RIGHT),
        ("1,234", "1234", "point", RIGHT),
        ("3.5", "3,5", "comma", RIGHT),
        ("3,5", "3.5", "point", RIGHT),
    ],
)
async def test_an_option_says_what_stands_before_decimals(
    answer: str, reference: str, decimal: str, verdict: tuple[float, bool]
) -> None:
    assert await score(answer, reference, decimal=decimal) == verdict


async def test_a_number_of_json_has_the_point_of_json() -> None:
    asked = Question("a", "q", 1.234, ("1.234",), {}, "f", "rows.jsonl, line 1")
    scorer = Numeric(NumericOptions(decimal="comma"))
    assert await scorer.score(asked, "1,234", "1.234") == Pair(1, 0)
