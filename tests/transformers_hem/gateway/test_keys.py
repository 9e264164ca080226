"""Who may call: several keys. How they change while a server runs: tests of reload."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.gateway.keys import Keys, Unauthorized


def allowed(keys: Keys, header: str | None) -> bool:
    try:
        keys.check({} if header is None else {"authorization": header})
    except Unauthorized as error:
        assert "sk-" not in str(error)
        return False
    return True


def test_one_of_several_keys_opens(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# of the team\nsk-one\n\n  sk-two  \n")
    keys = Keys(path, open=False)
    for header in ("Bearer sk-one", "bearer sk-two", "Bearer  sk-two "):
        assert allowed(keys, header)
    for wrong in (None, "", "sk-one", "Bearer", "Bearer sk-three", "Bearer sk-on", "Basic sk-one"):
        assert not allowed(keys, wrong)
    assert not allowed(keys, "Bearer # of the team")


@pytest.mark.parametrize("open_", [True, False])
def test_without_a_file_it_depends_on_where_the_server_listens(tmp_path: Path, open_: bool) -> None:
    path = tmp_path / "keys"
    for keys in (Keys(path, open=open_), Keys(None, open=open_)):
        assert allowed(keys, None) == open_
    path.write_text("sk-one")
    assert not allowed(Keys(path, open=open_), None)
    assert allowed(Keys(path, open=open_), "Bearer sk-one")


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("\n# none yet\n")
    assert not allowed(Keys(path, open=True), None)
    assert not allowed(Keys(path, open=True), "Bearer ")


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="keys is not UTF-8"):
        Keys(path, open=True)
