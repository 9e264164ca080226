"""What lies at a path, in short."""

from pathlib import Path

from predictors.contents import END_BYTES, contents


def test_files_that_differ_in_the_middle_alone_are_told_apart_where_that_is_looked_at(
    tmp_path: Path,
) -> None:
    data = bytearray(16 * END_BYTES)
    (tmp_path / "weights").write_bytes(data)
    before = list(contents(tmp_path)), list(contents(tmp_path, between=64))
    data[4 * END_BYTES : 12 * END_BYTES] = b"x" * (8 * END_BYTES)
    (tmp_path / "weights").write_bytes(data)
    assert list(contents(tmp_path)) == before[0]
    assert list(contents(tmp_path, between=64)) != before[1]


def test_names_sizes_and_both_ends_count(tmp_path: Path) -> None:
    file = tmp_path / "a"
    seen = []
    for name, data in (("a", b"xx"), ("a", b"xy"), ("a", b"yx"), ("a", b"xxx"), ("b", b"xx")):
        file.unlink(missing_ok=True)
        file = tmp_path / name
        file.write_bytes(data)
        seen.append(tuple(contents(tmp_path)))
    assert len(set(seen)) == 5
