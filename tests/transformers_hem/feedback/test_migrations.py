"""Tables are made by migrations alone, once, and those of a newer version are left as they are."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from predictors.errors import ConfigurationError
from tests.transformers_hem.feedback.conftest import Opens
from transformers_hem.feedback import migrations
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.reading import reading
from transformers_hem.feedback.tables import METADATA


def test_the_tables_are_those_that_the_code_knows(opens: Opens) -> None:
    with opens().transaction() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == migrations.HEAD
        assert compare_metadata(context, METADATA) == []


def test_the_last_migration_is_the_one_that_is_looked_for() -> None:
    (folder,) = migrations.__path__
    assert ScriptDirectory(folder).get_current_head() == migrations.HEAD


def test_a_store_of_a_newer_version_is_refused_with_both_versions(
    opens: Opens, place: Place
) -> None:
    database = opens()
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    told = r"version 9999.*knows " + migrations.HEAD
    with pytest.raises(ConfigurationError, match=told):
        opens()
    with pytest.raises(Unusable, match=told), reading(place):
        pass


def test_who_reads_a_store_that_no_server_has_made_is_told_so(place: Place) -> None:
    if place.path is not None:
        place.path.touch()
    with pytest.raises(Unusable, match="has no tables of this version"), reading(place):
        pass
