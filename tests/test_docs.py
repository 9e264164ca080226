"""README and docs: short where they have to be, no dead links, and names that exist."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import anchors, links

README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
CARDS = sorted(
    path for floor in ("predictors", "transformers_hem") for path in (ROOT / floor).rglob("*.md")
)
PAGES = [README, ROOT / "CHANGELOG.md", *DOCS, *CARDS, *sorted((ROOT / "manifests").rglob("*.md"))]
PACKAGES = ("predictors", "transformers_hem", "inferencegraph")
MOST_BYTES = 8192
MOST_PICTURE_BYTES = 150_000


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def local(page: Path) -> list[str]:
    return [link for link in links(page) if not re.match(r"[a-z]+:", link)]


def target(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.read_bytes()) <= MOST_BYTES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in local(page):
        where = target(page, link)
        assert where.exists(), f"{link}: there is no such file"
        anchor = link.partition("#")[2]
        assert not anchor or anchor in anchors(where), f"{link}: no such heading"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, new = set(), {README}
    while new:
        reached |= new
        followed = {target(page, link) for page in new for link in local(page)}
        new = {page for page in followed if page.suffix == ".md"} - reached
    assert set(DOCS) <= reached


def test_no_picture_is_larger_than_a_page_should_load() -> None:
    kinds = (".png", ".svg", ".jpg", ".webp", ".gif")
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in kinds]
    assert pictures
    sizes = {name_of(picture): picture.stat().st_size for picture in pictures}
    assert {name: size for name, size in sizes.items() if size > MOST_PICTURE_BYTES} == {}


def paths_named(page: Path, heading: str | None = None) -> list[str]:
    """Paths of the project in backticks, without those of code blocks."""
    text = page.read_text()
    if heading:
        text = re.split(r"^## ", text.partition(f"## {heading}\n")[2], flags=re.M)[0]
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    start = r"(?:predictors|transformers_hem|inferencegraph|manifests|tests|docs|\.ci)"
    return re.findall(rf"`({start}/[^`\s*<>]*)`", text)


def test_each_question_of_the_architecture_is_answered_by_one_place() -> None:
    page = ROOT / "docs" / "architecture.md"
    heading = "Which place answers which question"
    table = page.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "?" in line]
    assert len(rows) >= 9
    assert len(paths_named(page, heading)) == len(rows)


# A page that shows how to add a file names files that are not there yet.
MADE_BY_A_READER = {
    "predictors/engines/phone_book.py",
    "transformers_hem/algorithms/my_router.py",
    "transformers_hem/routers/words/score.py",
    "transformers_hem/routers/words/learner.py",
    "transformers_hem/labels/scorers/first_word.py",
    "transformers_hem/guards/night.py",
    "inferencegraph/check/owners.py",
}


@pytest.mark.parametrize("page", [README, *DOCS, *CARDS], ids=name_of)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = [path for path in paths_named(page) if not (ROOT / path).exists()]
    assert set(missing) <= MADE_BY_A_READER


@pytest.mark.parametrize("page", [README, *DOCS, *CARDS], ids=name_of)
def test_every_module_that_a_page_runs_exists(page: Path) -> None:
    for module in re.findall(r"python -m ([\w.]+)", page.read_text()):
        if module.partition(".")[0] in PACKAGES:
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("package", PACKAGES)
def test_the_code_names_no_page_that_the_project_lacks(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        for page in re.findall(r"[\w./-]+\.md\b", file.read_text()):
            places = (ROOT, file.parent, file.parent.parent)
            assert any((place / page).exists() for place in places), f"{name_of(file)}: {page}"


def test_make_has_every_target_that_a_page_names() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (README, *DOCS):
        named = set(re.findall(r"(?:`|^)make ([\w-]+)", page.read_text(), re.MULTILINE))
        assert named <= targets, f"{name_of(page)}: {named - targets}"
