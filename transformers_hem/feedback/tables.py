"""The tables, as SQLAlchemy sees them; `migrations` makes them, and a test holds both together.

decisions   one row for each request that was decided
feedback    one row for each thing that was said of an answer; nothing is changed afterwards, and of
            what one client says of one request the newest counts
facts       few facts about the store itself, by name

No foreign key leads from feedback to decisions: at an edge without a link, and with several HEM
replicas, feedback may come before its decision. `request_id` holds them together.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

# SQLite numbers rows by itself only where the type is INTEGER.
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
METADATA: Final = MetaData()

DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("origin", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("at", Double, nullable=False),
    Column("way", String(8), nullable=False),
    Column("client", String(16), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("route", String(5), nullable=False),
    Column("served", String(5)),
    Column("model", String(128), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("degraded", String(64), nullable=False),
    Column("score", Double),
    Column("threshold", Double, nullable=False),
    Column("reason", String(128), nullable=False),
    Column("algorithm", String(128), nullable=False),
    Column("router", String(255), nullable=False),
    Column("version", String(16), nullable=False),
    Column("propensity", Double, nullable=False),
    Column("shadow_share", Double, nullable=False),
    Column("query_hash", String(16), nullable=False),
    Column("query", Text),
    Column("features", LargeBinary),
    Index("decisions_request", "request_id"),
    Index("decisions_at", "at"),
    sqlite_autoincrement=True,  # a number is never used again: what was sent on is told by it
)

FEEDBACK: Final = Table(
    "feedback",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("digest", String(16), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("at", Double, nullable=False),
    Column("said_at", Double),
    Column("client", String(16), nullable=False),
    Column("source", String(8), nullable=False),
    Column("thumb_up", Boolean),
    Column("rating", Double),
    Column("correct", Boolean),
    Column("preferred", String(5)),
    Column("corrected", Boolean, nullable=False),
    Column("answer", Text),
    Column("signal", String(16), nullable=False),
    Column("scorer", String(64), nullable=False),
    Column("edge_score", Double),
    Column("cloud_score", Double),
    Index("feedback_request", "request_id"),
    Index("feedback_at", "at"),
    sqlite_autoincrement=True,
)

FACTS: Final = Table(
    "facts",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("value", Text, nullable=False),
)
