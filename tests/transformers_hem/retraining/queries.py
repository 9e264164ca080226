"""Queries whose difficulty a word tells, labelled rows of them, and a store of what came back.

The edge is right where the query is about an easy topic. After a shift other topics are hard.
"""

import random
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

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
    """SQLite's file with decisions and shadow pairs."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
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
            request = uuid.uuid4().hex
            decisions.append(
                Decided(
                    key=request,
                    origin="here",
                    request_id=request,
                    at=at + number,
                    way="chat",
                    client="somebody",
                    rows=1,
                    route=route,
                    served=route,
                    model="m",
                    status=200,
                    degraded="",
                    score=0.1,
                    threshold=0.5,
                    reason="algorithm",
                    algorithm="LinearRouter",
                    router="versions",
                    version=version,
                    shadow_share=share,
                    query_hash=fingerprint(query).hex(),
                    query=query if text else None,
                    features=None if text else packed(query),
                )
            )
            said = Feedback(
                key=uuid.uuid4().hex,
                origin="here",
                request_id=request,
                at=at + number,
                client=client,
                source="shadow" if source == "shadow" else "user",
                scorer="exact" if source == "shadow" else "",
                edge_score=float(edge) if source == "shadow" else None,
                cloud_score=float(cloud) if source == "shadow" else None,
                correct=None if source == "shadow" else bool(edge if route == "edge" else cloud),
            )
            feedback.append(said)
        with self._database.transaction() as connection:
            keep(connection, [Unit(decisions, feedback)])

    def forget_decisions(self, before: float) -> None:
        """As retention does; what was said of them stays."""
        with self._database.transaction() as connection:
            connection.execute(delete(DECISIONS).where(DECISIONS.c.at < before))

    def close(self) -> None:
        self._database.close()
