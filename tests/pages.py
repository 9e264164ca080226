"""Reads the project's pages: their links, their sections, and the code blocks to be run."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

EXTENDING = ROOT / "docs" / "extending.md"

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Targets of the links and pictures of a page, code blocks left out."""
    return _LINK.findall(_FENCE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """What `#...` may name in a page, as GitHub makes it of headings."""
    names: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text())):
        text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = sum(known == name or known.startswith(f"{name}-") for known in names)
        names.add(f"{name}-{count}" if name in names else name)
    return names


@dataclass(frozen=True)
class Section:
    """One `## ` section of a page.

    `files`: what "Save this as" puts where; `blocks`: all code blocks, without their fences;
    `commands`: the lines of the blocks without a language.
    """

    files: dict[str, str]
    blocks: list[tuple[str, str]]

    def code(self, language: str) -> list[str]:
        return [text for name, text in self.blocks if name == language]

    @property
    def commands(self) -> list[str]:
        lines = "".join(self.code("")).replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip()]


def section(page: Path, heading: str) -> Section:
    text = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
    (body,) = (part for part in text if part.splitlines()[0] == heading)
    saved = re.findall(r"Save this as\s+`([^`]+)`.*?```python\n(.*?)^```", body, re.S | re.M)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", body, re.S | re.M)
    return Section(dict(saved), blocks)
