"""Keys, tokens and passwords.

A table of our own: detect-secrets looks line by line with expressions that may take exponential
time, needs 17 ms for 2,500 characters, and knows most of these formats by the same prefixes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2
from typing import Any, ClassVar, Final

import re2

from transformers_hem.guards.privacy.base import Detector, Scanned, Span

# What a key begins with (RE2 reads these, too), and the rest of it.
_KEYS: Final = {
    # OpenAI, Anthropic, OpenRouter, DeepSeek and others
    r"sk-": r"[A-Za-z0-9_-]{20,200}",
    r"(?:sk|rk|pk)_(?:live|test)_": r"[A-Za-z0-9]{16,200}",  # Stripe
    r"(?:AKIA|ASIA|ABIA|ACCA)": r"[A-Z2-7]{16}",  # AWS
    r"gh[pousr]_": r"[A-Za-z0-9]{36,255}",  # GitHub
    r"github_pat_": r"[A-Za-z0-9_]{22,255}",
    r"glpat-": r"[A-Za-z0-9_-]{20,100}",  # GitLab
    r"AIza": r"[A-Za-z0-9_-]{35}",  # Google
    r"ya29\.": r"[A-Za-z0-9_-]{20,400}",
    r"GOCSPX-": r"[A-Za-z0-9_-]{28}",
    r"xox[abeoprs]-": r"[A-Za-z0-9-]{10,200}",  # Slack
    r"hooks\.slack\.com/services/": r"[A-Za-z0-9/]{20,100}",
    r"hf_": r"[A-Za-z]{34}",  # Hugging Face
    r"npm_": r"[A-Za-z0-9]{36}",
    r"pypi-": r"[A-Za-z0-9_-]{50,400}",
    r"dop_v1_": r"[a-f0-9]{64}",  # DigitalOcean
    r"SG\.": r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",  # SendGrid
    r"key-": r"[a-f0-9]{32}",  # Mailgun
    r"(?:AC|SK)": r"[a-f0-9]{32}",  # Twilio
    r"shp(?:at|ca|pa|ss)_": r"[A-Fa-f0-9]{32}",  # Shopify
    r"hv[sb]\.": r"[A-Za-z0-9_-]{24,200}",  # Vault
    r"gsk_": r"[A-Za-z0-9]{40,64}",  # Groq
    r"xai-": r"[A-Za-z0-9]{60,100}",
    r"pplx-": r"[A-Za-z0-9]{40,64}",  # Perplexity
    r"r8_": r"[A-Za-z0-9]{37}",  # Replicate
    r"nvapi-": r"[A-Za-z0-9_-]{60,80}",  # NVIDIA
    r"lin_api_": r"[A-Za-z0-9]{40}",  # Linear
    r"ntn_": r"[A-Za-z0-9]{40,50}",  # Notion
    r"EAAC": r"[A-Za-z0-9]{60,300}",  # Meta
    r"AGE-SECRET-KEY-1": r"[A-Z0-9]{58}",
    r"eyJ": r"[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}",  # JWT
}
_KEY: Final = re.compile(
    "(?<![A-Za-z0-9])(?:" + "|".join(first + rest for first, rest in _KEYS.items()) + ")", re.ASCII
)
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END: Final = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_IN_URL: Final = re.compile(r"://[^\s/:@]{0,100}:([^\s/@]{3,200})@")
_NAMES: Final = (
    r"(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token"
    r"|access[_-]?token|client[_-]?secret|private[_-]?key|bearer)"
)
_ASSIGNED: Final = re.compile(
    _NAMES + r"[\"']?(?:\s{0,3}(?::=|=>|[:=])\s{0,3}[\"']?|\s)([^\s\"',;]{8,200})", re.IGNORECASE
)
_FIRST: Final = re2.compile("|".join(_KEYS).encode())
_NAME: Final = re2.compile(f"(?i:{_NAMES})".encode())
_LEAST_ENTROPY: Final = 2.5  # bits a character, of what is called a secret


class Secrets(Detector):
    """Keys by what they begin with, private keys, passwords in URLs, and what is said to be a
    password or a key."""

    trigger: ClassVar[str] = "|".join((*_KEYS, "PRIVATE KEY", r"://[^\s/]*@", f"(?i:{_NAMES})"))

    def find(self, scanned: Scanned) -> Iterator[Span]:
        text = scanned.text
        for match in _at(_FIRST, _KEY, scanned):
            yield Span(match.start(), match.end())
        for match in _PEM.finditer(text):
            border = text.find("\0", match.end())  # where another text begins
            last = border - 1 if border >= 0 else len(text)
            end = _PEM_END.search(text, match.end(), last)
            yield Span(match.start(), end.end() if end else last)
        for match in _IN_URL.finditer(text):
            yield Span(match.start(1), match.end(1))
        for match in _at(_NAME, _ASSIGNED, scanned):
            if _is_random(match[1]):
                yield Span(match.start(1), match.end(1))


def _at(places: Any, pattern: re.Pattern[str], scanned: Scanned) -> Iterator[re.Match[str]]:
    """Where RE2 finds that one may begin."""
    behind = 0
    for place in places.finditer(scanned.characters):
        scanned.check_time()
        match = pattern.match(scanned.text, place.start()) if place.start() >= behind else None
        if match is not None:
            behind = match.end()
            yield match


def _is_random(value: str) -> bool:
    """Letters and digits or signs, of which no few come again and again: not a word."""
    kinds = (any(map(str.isdigit, value)), any(map(str.isalpha, value)))
    counts = Counter(value)
    entropy = -sum(n / len(value) * log2(n / len(value)) for n in counts.values())
    return all(kinds) and entropy >= _LEAST_ENTROPY
