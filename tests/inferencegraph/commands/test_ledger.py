"""`hem ledger verify` and `hem ledger report`."""

import json
from pathlib import Path

import pytest

from inferencegraph.cli import main
from predictors.upstream.ledger.signing import Signer
from predictors.upstream.ledger.writer import Ledger
from tests.predictors.upstream.ledger.test_signing import new_key

NO_PRICES = "currency: USD\nmodels:\n  big: {input: 1, output: 2}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path / "egress.jsonl", 2**20)
    for _ in range(3):
        number = ledger.intend({"to": "https://api.example/v1", "bytes": 9})
        ledger.report({"of": number, "received": 1, "model": "big", "prompt_tokens": 1_000_000})
    ledger.close()
    return ledger.path


def hem(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["ledger", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_a_whole_ledger_is_verified(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = hem(capsys, "verify", path)
    assert code == 0
    assert "7 lines hold together; head 6:" in out
    assert "Without --head it can't be seen" in out
    code, out, _ = hem(capsys, "verify", path, "--json")
    found = json.loads(out)
    assert (code, found["holds"], found["lines"]) == (0, True, 7)
    code, out, _ = hem(capsys, "verify", path, "--head", found["head"])
    assert code == 0 and "nothing is missing or changed" in out


def test_a_broken_chain_is_exit_code_1_and_the_first_bad_line(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = json.loads(hem(capsys, "verify", path, "--json")[1])["head"]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    code, out, err = hem(capsys, "verify", path, "--head", head)
    assert (code, out) == (1, "")
    assert "its end is cut off" in err
    path.write_bytes(
        b"".join([*lines[:3], lines[3].replace(b'"bytes":9', b'"bytes":8'), *lines[4:]])
    )
    for command in ("verify", "report"):
        code, out, err = hem(capsys, command, path)
        assert (code, out) == (1, "")
        assert err == (
            f"hem: broken: {path}, line 4: was changed, or the line behind it: it has another hash "
            "of it\n"
        )
    code, out, _ = hem(capsys, "verify", path, "--json")
    assert code == 1 and json.loads(out)["holds"] is False


def test_signatures_are_checked_with_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_key(tmp_path)
    ledger = Ledger(tmp_path / "signed.jsonl", 2**20, signer=Signer(key))
    ledger.report({"of": ledger.intend({"to": "x"})})
    code, out, _ = hem(capsys, "verify", ledger.path, "--key", key.with_suffix(".pub"))
    assert code == 0
    assert "Signatures: 1, and all hold. The last one, of 20" in out
    assert "Lines behind it, which nobody has signed yet: 2" in out
    _, out, _ = hem(capsys, "verify", ledger.path)
    assert "Signatures: 1, not checked: give --key." in out
    _, out, _ = hem(capsys, "verify", ledger.path, "--json", "--key", key)
    signed = json.loads(out)["signed"]
    assert (signed["count"], signed["first"], signed["checked"]) == (1, 1, True)
    other = new_key(tmp_path, "other")
    code, _, err = hem(capsys, "verify", ledger.path, "--key", other)
    assert code == 1 and "is signed with another key" in err
    ledger.close()


def test_a_ledger_that_is_signed_from_its_middle_says_so(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_key(tmp_path)
    Ledger(path, 2**20, signer=Signer(key)).close()
    code, out, _ = hem(capsys, "verify", path, "--key", key)
    assert code == 0
    assert "Lines before the first signature, line 8, were there when it was made." in out
    code, _, err = hem(capsys, "verify", path, "--key", "absent.pem")
    assert code == 2 and "the key absent.pem can't be read" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "{path}", "--head", "12"], "--head '12' must be NUMBER:HASH"),
        (["verify", "{path}", "--after", "1:xyz"], "--after '1:xyz' must be"),
        (["verify", "absent.jsonl"], "absent.jsonl is not there"),
        (["report", "{path}", "--since", "yesterday"], "--since 'yesterday' must be a time"),
        (["report", "{path}", "--since", "999999d"], "must be a time"),
        (["report", "{path}", "--by", "model"], "'model' is not one of"),
        (["report", "{path}", "--prices", "absent"], "absent can't be read"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = hem(capsys, *(argument.format(path=path) for argument in arguments))
    assert code == 2
    assert says in err and len(err.splitlines()) == 1


def test_the_report_is_a_table_or_json(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(NO_PRICES)
    code, out, _ = hem(capsys, "report", path, "--since", "1h", "--prices", prices)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        *("destination", "https://api.example", "total"),
    ]
    assert "3.000000" in out
    code, out, _ = hem(capsys, "report", path, "--by", "day", "--json", "--prices", prices)
    told = json.loads(out)
    assert (told["total"]["attempts"], told["total"]["cost"]) == (3, 3.0)
    assert (told["by"], told["currency"]) == ("day", "USD")
    assert "cost" not in json.loads(hem(capsys, "report", path, "--json")[1])["total"]
