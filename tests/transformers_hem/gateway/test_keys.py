"""Who may call: several keys, that may change while the server runs."""

import os
from pathlib import Path

import pytest

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


def test_keys_that_change_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("sk-old")
    keys = Keys(path, open=False)
    (tmp_path / "next").write_text("sk-new")
    os.replace(tmp_path / "next", path)
    assert allowed(keys, "Bearer sk-new")
    assert not allowed(keys, "Bearer sk-old")


@pytest.mark.parametrize("open_", [True, False])
def test_without_a_file_it_depends_on_where_the_server_listens(tmp_path: Path, open_: bool) -> None:
    path = tmp_path / "keys"
    for keys in (Keys(path, open=open_), Keys(None, open=open_)):
        assert allowed(keys, None) == open_
    keys = Keys(path, open=open_)
    path.write_text("sk-one")
    assert not allowed(keys, None)
    assert allowed(keys, "Bearer sk-one")
    path.unlink()
    assert allowed(keys, None) == open_


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("\n# none yet\n")
    assert not allowed(Keys(path, open=True), None)
    assert not allowed(Keys(path, open=True), "Bearer ")


def test_a_file_that_can_not_be_read_for_a_moment_leaves_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("sk-one")
    keys = Keys(path, open=False)
    path.write_bytes(b"\xff\xfe\xff")
    assert allowed(keys, "Bearer sk-one")
