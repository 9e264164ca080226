"""Messages in eight languages with private items, made by Faker and by the arithmetic below:
nothing of it is shared with the detectors."""

import random
from collections.abc import Callable, Iterator

from faker import Faker

from transformers_hem.guards.privacy.base import Found
from transformers_hem.guards.privacy.measuring import Labelled

# Where an item stands, as a colleague or a customer would write; two of each tell what it is.
SENTENCES = {
    "en_US": (
        "Please forward it to {}, thanks.",
        "Mine is {}. Is that enough?",
        "({})",
        "We have {} on file for him",
    ),
    "de_DE": (
        "Bitte an {} weiterleiten.",
        "Meine lautet {}, reicht das?",
        "[{}]",
        "Notiert ist {} bei uns",
    ),
    "fr_FR": (
        "Merci de transmettre à {}.",
        "Le mien est {}, ça suffit ?",
        "({})",
        "Nous avons noté {} pour lui",
    ),
    "es_ES": (
        "Por favor reenvíalo a {}.",
        "El mío es {}, ¿basta?",
        "«{}»",
        "Tenemos anotado {} de ella",
    ),
    "it_IT": (
        "Inoltralo a {}, grazie.",
        "Il mio è {}, basta?",
        "({})",
        "Abbiamo annotato {} per lei",
    ),
    "pt_BR": (
        "Encaminhe para {}, por favor.",
        "O meu é {}, basta?",
        "({})",
        "Temos {} anotado aqui",
    ),
    "ja_JP": ("{}に転送してください。", "私のは{}です。", "（{}）", "記録は {} となっています"),
    "zh_CN": ("请转发到{}。", "我的是{},够了吗?", "（{}）", "我们记录的是 {} 这一个"),
}


def corpus(count: int, seed: int) -> Iterator[Labelled]:
    """One item in each message, all kinds and languages in turns."""
    drawn = random.Random(seed)
    languages = {name: Faker(name) for name in SENTENCES}
    for fake in languages.values():
        fake.seed_instance(seed)
    kinds: dict[str, Callable[[Faker, str, random.Random], str]] = {
        "email": lambda fake, _, draw: draw.choice((fake.email, fake.company_email))(),
        "phone": lambda fake, *_: fake.phone_number(),
        "card": lambda fake, _, draw: grouped(fake.credit_card_number(), draw),
        "iban": iban,
        "national_id": national_id,
    }
    for number in range(count):
        name = list(SENTENCES)[number // len(kinds) % len(SENTENCES)]
        kind = list(kinds)[number % len(kinds)]
        fake = languages[name]
        item = kinds[kind](fake, name, drawn)
        before = f"{fake.sentence()} {drawn.choice(SENTENCES[name])} {fake.sentence()}"
        start = before.index("{}")
        text = before.replace("{}", item)
        yield Labelled(text, (Found(start, start + len(item), kind),))


def grouped(digits: str, draw: random.Random) -> str:
    sign = draw.choice(("", " ", "-"))
    return (
        sign.join(digits[i : i + 4] for i in range(0, len(digits), 4))
        if len(digits) == 16
        else digits
    )


def iban(fake: Faker, name: str, draw: random.Random) -> str:
    if name[-2:] in ("DE", "FR", "ES", "IT"):
        value = fake.iban()
    else:  # of the Netherlands: a bank's four letters, and ten digits
        account = f"INGB{draw.randrange(10**10):010}"
        spelt = "".join(str(int(c, 36)) for c in f"{account}NL00")
        value = f"NL{98 - int(spelt) % 97:02}{account}"
    if draw.random() < 0.5:
        return value
    return " ".join(value[i : i + 4] for i in range(0, len(value), 4))


def national_id(fake: Faker, name: str, draw: random.Random) -> str:
    match name:
        case "es_ES":
            return draw.choice((fake.nif, fake.nie))()
        case "pt_BR":
            return fake.cpf()
        case "de_DE":
            return german_id(draw)
        case "ja_JP":
            return japanese_id(draw)
    return fake.ssn()


def german_id(draw: random.Random) -> str:
    """Ten digits of which one is there twice, and one by ISO 7064, MOD 11,10."""
    digits = draw.sample(range(10), 9)
    digits.insert(draw.randrange(1, 9), digits[0])
    if digits[0] == 0:
        digits[0] = next(d for d in range(1, 10))
        digits = [digits[0], *draw.sample([d for d in range(10) if d != digits[0]], 8)]
        digits.append(digits[0])
    product = 10
    for digit in digits:
        total = (digit + product) % 10 or 10
        product = 2 * total % 11
    return "".join(map(str, (*digits, (11 - product) % 10)))


def japanese_id(draw: random.Random) -> str:
    digits = [draw.randrange(10) for _ in range(11)]
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    rest = sum(d * w for d, w in zip(digits, weights, strict=True)) % 11
    return "".join(map(str, (*digits, 0 if rest <= 1 else 11 - rest)))
