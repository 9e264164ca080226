"""Queries whose difficulty a word tells, labelled rows of them, and a store of what came back.

The edge is right where the query is about an easy topic. After a shift other topics are hard.
"""

import random
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import delete

from transformers_hem.algorithms.base import Route
from transformers_hem.feedback.features import packed
from transformers_hem.feedback.keeping import Unit, keep
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import read_place
from transformers_hem.feedback.records import Decided, Feedback
from transformers_hem.feedback.tables import DECISIONS
from transformers_hem.routers.fingerprints import fingerprint

EASY: Final = ("weather", "capital", "colour", "holiday", "recipe")
HARD: Final = ("integral", "theorem", "kernel", "statute", "enzyme")
FILLING: Final = (
    *("please", "tell", "me", "what", "you", "know", "of"),
    *("the", "matter", "in", "few", "plain", "words"),
)
Query = tuple[str, int, int]  # text, and whether edge and cloud are right


def queries(count: int, seed: int, hard: Sequence[str] = HARD) -> list[Query]:
    """On one of them in ten the edge is another than the topic says."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        topic = chance.choice(EASY + HARD)
        words = chance.sample(FILLING, 5)
        code = "".join(chance.choices("bcdfghjklmnpqrstvwxz", k=9))  # no two queries are equal
        text = f"{' '.join(words)} {topic} {code}"
        edge = (topic not in hard) ^ (chance.random() < 0.1)
        found.append((text, int(edge), 1))
    return found


def write_rows(path: Path, rows: Iterable[Query]) -> Path:
    path.write_bytes(
        b"".join(
            orjson.dumps({"query": text, "edge_correct": edge, "cloud_correct": cloud}) + b"\n"
            for text, edge, cloud in rows
        )
    )
    return path


class Store:
    """A store with decisions, shadow pairs, and what users said. `place`: SQLite's file, or a
    database of PostgreSQL."""

    def __init__(self, place: Path | str) -> None:
        self.path = str(place)
        self._database = open_database(read_place(self.path), create=True)

    def shadows(
        self,
        rows: Iterable[Query],
        at: float,
        version: str = "",
        route: Route = "edge",
        text: bool = True,
        source: str = "shadow",
        client: str = "somebody",
        share: float = 0.1,
    ) -> None:
        """One second after the other, all answered by that side."""
        decisions, feedback = [], []
        for number, (query, edge, cloud) in enumerate(rows):
            decision = decided_of(
                query, at + number, text, route=route, version=version, shadow_share=share
            )
            decisions.append(decision)
            said = Feedback(
                key=uuid.uuid4().hex,
                origin="here",
                request_id=decision.request_id,
                at=at + number,
                client=client,
                source="shadow" if source == "shadow" else "user",
                scorer="exact" if source == "shadow" else "",
                edge_score=float(edge) if source == "shadow" else None,
                cloud_score=float(cloud) if source == "shadow" else None,
                correct=None if source == "shadow" else bool(edge if route == "edge" else cloud),
            )
            feedback.append(said)
        self._keep(decisions, feedback)

    def decides(self, texts: Iterable[str], at: float, text: bool = True, **fields: Any) -> None:
        """The same, where nobody says anything."""
        rows = enumerate(texts)
        self._keep([decided_of(query, at + number, text, **fields) for number, query in rows], [])

    def forget_decisions(self, before: float) -> None:
        """As retention does; what was said of them stays."""
        with self._database.transaction() as connection:
            connection.execute(delete(DECISIONS).where(DECISIONS.c.at < before))

    def close(self) -> None:
        self._database.close()

    def _keep(self, decisions: list[Decided], feedback: list[Feedback]) -> None:
        with self._database.transaction() as connection:
            keep(connection, [Unit(tuple(decisions), tuple(feedback))])


def decided_of(asked: str, at: float, text: bool = True, **fields: Any) -> Decided:
    """`text`: it is kept, and not what a LinearRouter sees of it."""
    request, route = uuid.uuid4().hex, fields.get("route", "edge")
    usual: dict[str, Any] = {
        **{"key": request, "request_id": request, "origin": "here", "at": at},
        **{"way": "chat", "client": "somebody", "rows": 1, "route": route, "served": route},
        **{"model": "m", "status": 200, "degraded": "", "score": 0.1, "threshold": 0.5},
        **{"reason": "algorithm", "algorithm": "LinearRouter", "router": "versions"},
        "version": "",
        "query_hash": fingerprint(asked).hex(),
        "query": asked if text else None,
        "features": None if text else packed(asked),
    }
    return Decided(**{**usual, **fields})
