"""Questions without a file."""

from transformers_hem.labels.question import Question


def question(query: str = "q", *references: str) -> Question:
    return Question("a", query, references or None, references, {}, "f", "rows.jsonl, line 1")
