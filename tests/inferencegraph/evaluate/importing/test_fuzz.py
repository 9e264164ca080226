"""Whatever a file holds, an import ends with rows that are whole, or with one clear error."""

import io
import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inferencegraph.evaluate.importing.rows import FIELDS, Pair
from inferencegraph.evaluate.importing.run import Job, import_rows
from predictors.errors import ConfigurationError
from predictors.jsonl import read_rows
from tests.inferencegraph.evaluate.importing import SAMPLES, SMALL_AND_BIG

EXAMPLES = settings(max_examples=25, deadline=None)
PAIRS = {"routerbench": Pair("small", "vendor/big")}
FILES = {
    "openai-chat": ["openai_chat.jsonl"],
    "openai-batch": ["openai_batch_input.jsonl", "openai_batch_output.jsonl"],
    "litellm": ["litellm.jsonl", "litellm.csv"],
    "semantic-router": ["semantic_router.jsonl"],
    "ianvs": ["ianvs/test_data/data.jsonl", "ianvs/test_data/metadata.json"],
    "mmlu": ["mmlu/test/garden_lore_test.csv", "mmlu/dev/garden_lore_dev.csv"],
    "cmmlu": ["cmmlu/test/garden.csv", "cmmlu/dev/garden.csv"],
    "gsm8k": ["gsm8k.jsonl"],
    "mt-bench": ["mt_bench/question.jsonl", "mt_bench/judge_single.jsonl"],
    "mixinstruct": ["mixinstruct.json"],
    "routerbench": ["routerbench.csv"],
    "routerarena": ["routerarena_small.jsonl", "routerarena_big.jsonl"],
    "llmrouter": ["llmrouter.jsonl"],
    "text": ["lines.txt"],
}
NAMED = {"ianvs": 1, "mmlu": 1, "cmmlu": 1}  # files that are named; the others stand beside them
JSON_FORMATS = sorted(set(FILES) - {"mmlu", "cmmlu", "routerbench", "text"})


def survives(format: str, contents: dict[str, bytes], named: int | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        options = ["shots=1"] if format in ("mmlu", "cmmlu") else []
        for pair in (Pair(), PAIRS.get(format, SMALL_AND_BIG)):
            out = Path(folder, "out.jsonl")
            out.unlink(missing_ok=True)
            try:
                import_rows(Job(format, paths[:named], out, options, pair))
            except ConfigurationError as error:
                assert "\n" not in str(error) and not out.exists()
                continue
            rows = [row for _, row in read_rows(out)]
            assert {field for row in rows for field in row} <= FIELDS.keys()
            assert len({(type(row["id"]), row["id"]) for row in rows}) == len(rows)
            assert all(row.get("inputs") or row["query"].strip() for row in rows)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The content with a few bytes changed, put in or taken out, or cut off."""
    place = st.integers(0, len(content))
    pieces = st.sampled_from(
        [b"", b"\0", b"\xff", b'"', b"\n", b"{", b"]", b",", b"null", b"-1", b"\xe2\x80\xa8", b"\\"]
    )
    changes = st.lists(st.tuples(place, st.integers(0, 40), pieces), max_size=4)
    return st.builds(changed, st.just(content), changes, place)


def changed(content: bytes, changes: list[tuple[int, int, bytes]], end: int) -> bytes:
    for at, removed, added in changes:
        content = content[:at] + added + content[at + removed :]
    return content if end % 3 else content[:end]


@pytest.mark.parametrize("format", FILES)
@EXAMPLES
@given(data=st.data())
def test_damaged_files(format: str, data: st.DataObject) -> None:
    files = {name: (SAMPLES / name).read_bytes() for name in FILES[format]}
    contents = {name: data.draw(damaged(content)) for name, content in files.items()}
    survives(format, contents, NAMED.get(format))


def parts(value: Any) -> Iterator[Any]:
    """All values inside, itself included."""
    yield value
    for inside in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from parts(inside)


def odd_records(format: str) -> st.SearchStrategy[list[Any]]:
    """Objects with the format's own names, and with anything as their values."""
    files = [SAMPLES / name for name in FILES[format] if name.endswith(("json", "jsonl"))]
    rows: list[Any] = []
    for file in files:
        text = file.read_text()
        whole = text.startswith("[") or "metadata" in file.name
        rows += [json.loads(text)] if whole else [json.loads(line) for line in text.splitlines()]
    known = [part for row in rows for part in parts(row)]
    names = sorted({name for part in known if isinstance(part, dict) for name in part})
    odd = [
        None,
        True,
        -1,
        0,
        1.5,
        1e308,
        2**63,
        2**70,
        "",
        "x",
        "\ud800",
        "1",
        [],
        {},
        [[]],
        "[",
        "{}",
    ]
    leaves = st.sampled_from(odd + [part for part in known if not isinstance(part, dict | list)])
    values = st.recursive(
        leaves | st.sampled_from(known),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4)
        ),
        max_leaves=12,
    )
    replaced = st.builds(
        lambda row, other: {**row, **other},
        st.sampled_from([part for part in known if isinstance(part, dict)]),
        st.dictionaries(st.sampled_from(names), values, max_size=3),
    )
    return st.lists(replaced | values, min_size=1, max_size=6)


@pytest.mark.parametrize("format", JSON_FORMATS)
@EXAMPLES
@given(data=st.data(), as_array=st.booleans())
def test_records_with_odd_values(format: str, data: st.DataObject, as_array: bool) -> None:
    records = data.draw(odd_records(format))
    lines = [json.dumps(record) for record in records]
    content = f"[{','.join(lines)}]" if as_array else "\n".join(lines)
    survives(format, {"records.jsonl": content.encode()})


def arrays() -> dict[str, dict[str, bytes]]:
    images, labels = np.zeros((3, 2, 2), np.uint8), np.array([1, 2, 3])
    npz, x, y = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, x=images, y=labels)
    np.save(x, images)
    np.save(y, labels)
    idx = struct.pack(">HBBIII", 0, 8, 3, 3, 2, 2) + bytes(12)
    return {
        "npz": {"a.npz": npz.getvalue()},
        "npy": {"x.npy": x.getvalue(), "y.npy": y.getvalue()},
        "idx": {"x.idx": idx, "y.npy": y.getvalue()},
    }


@pytest.mark.parametrize("kind", arrays())
@EXAMPLES
@given(data=st.data())
def test_damaged_arrays(kind: str, data: st.DataObject) -> None:
    contents = arrays()[kind]
    survives("images", {name: data.draw(damaged(content)) for name, content in contents.items()})
