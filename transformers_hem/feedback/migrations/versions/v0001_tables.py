"""The first tables. What is here stays as it is: a later change is a file of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "decisions",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(32), nullable=False, unique=True),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("client", sa.String(16), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(5), nullable=False),
        sa.Column("served", sa.String(5)),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("degraded", sa.String(64), nullable=False),
        sa.Column("score", sa.Double()),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(128), nullable=False),
        sa.Column("algorithm", sa.String(128), nullable=False),
        sa.Column("router", sa.String(255), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=False),
        sa.Column("shadow_share", sa.Double(), nullable=False),
        sa.Column("query_hash", sa.String(16), nullable=False),
        sa.Column("query", sa.Text()),
        sa.Column("features", sa.LargeBinary()),
        sqlite_autoincrement=True,
    )
    op.create_index("decisions_request", "decisions", ["request_id"])
    op.create_index("decisions_at", "decisions", ["at"])
    op.create_table(
        "feedback",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(32), nullable=False, unique=True),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("said_at", sa.Double()),
        sa.Column("client", sa.String(16), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("thumb_up", sa.Boolean()),
        sa.Column("rating", sa.Double()),
        sa.Column("correct", sa.Boolean()),
        sa.Column("preferred", sa.String(5)),
        sa.Column("corrected", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("signal", sa.String(16), nullable=False),
        sa.Column("scorer", sa.String(64), nullable=False),
        sa.Column("edge_score", sa.Double()),
        sa.Column("cloud_score", sa.Double()),
        sqlite_autoincrement=True,
    )
    op.create_index("feedback_request", "feedback", ["request_id"])
    op.create_index("feedback_at", "feedback", ["at"])
    op.create_table(
        "facts",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
