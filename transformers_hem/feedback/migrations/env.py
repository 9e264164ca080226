"""Alembic runs this: on the connection that `migrate` gave it, in its transaction."""

from alembic import context

from transformers_hem.feedback.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes no columns
)
context.run_migrations()
