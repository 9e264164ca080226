"""A signed ledger is its owner's: who can write the file can't make another one that holds."""

import time
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from predictors.errors import ConfigurationError
from predictors.upstream.ledger.opening import close_ledger, open_ledger
from predictors.upstream.ledger.segments import files, sealed
from predictors.upstream.ledger.signing import Checker, Signer
from predictors.upstream.ledger.verify import Broken, verify
from predictors.upstream.ledger.writer import Ledger
from tests.predictors.upstream.ledger.reading import lines

SMALL: Final = 4096  # bytes of a segment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "egress.jsonl"


def new_key(folder: Path, name: str = "key") -> Path:
    """The private key's file; the public one is beside it."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.pem").write_bytes(pem)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
    return folder / f"{name}.pem"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path)


def write(path: Path, key: Path | None, count: int = 40, sign_seconds: float = 60.0) -> Ledger:
    signer = Signer(key) if key else None
    ledger = Ledger(path, SMALL, signer=signer, sign_seconds=sign_seconds)
    for _ in range(count):
        ledger.report({"of": ledger.intend({"to": "x"})})
    return ledger


def test_each_seal_start_and_end_is_signed_and_holds_by_either_half_of_the_key(
    path: Path, key: Path
) -> None:
    for _ in range(2):
        write(path, key).close()
    for half in (key, key.with_suffix(".pub")):
        found = verify(path, checker=Checker(half))
        assert found.signed.last == found.head.number
    assert all("signature" in row for row in lines(path, "seal"))
    assert len(lines(path, "seal")) == len(sealed(path)) > 2
    assert len(lines(path, "sign")) == 4
    assert found.signed.count == len(lines(path, "seal")) + 4
    assert verify(path).signed == found.signed


def test_what_comes_in_between_is_signed_by_the_clock(path: Path, key: Path) -> None:
    ledger = write(path, key, count=1, sign_seconds=0.02)
    until = time.monotonic() + 5
    while len(lines(path, "sign")) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(lines(path, "sign")) == 2  # nothing new has come
    ledger.close()
    assert len(lines(path, "sign")) == 2


def test_another_key_is_told(path: Path, key: Path, tmp_path: Path) -> None:
    write(path, key).close()
    with pytest.raises(Broken, match=r"is signed with another key, [0-9a-f]{16}, and not with"):
        verify(path, checker=Checker(new_key(tmp_path, "other")))


def test_a_ledger_without_a_signature_is_told(path: Path, key: Path) -> None:
    write(path, None).close()
    with pytest.raises(Broken, match="no line of it is signed"):
        verify(path, checker=Checker(key))


def test_a_chain_that_was_made_anew_is_told(path: Path, key: Path, tmp_path: Path) -> None:
    """By who can write the file, and has no key: unsigned, or with the old signatures."""
    write(path, key).close()
    old = lines(path, "sign")[0]
    for each in files(path):
        each.unlink()
    forged = write(path, new_key(tmp_path, "other"), count=3)
    forged.close()
    content = path.read_text()
    for row in lines(path, "sign"):
        content = content.replace(row["signature"], old["signature"])
        content = content.replace(row["key"], old["key"])
    path.write_text(content)
    with pytest.raises(Broken):
        verify(path, checker=Checker(key))


def test_a_time_that_was_changed_does_not_hold(path: Path, key: Path) -> None:
    """That of the last line: no line behind it has its hash."""
    write(path, key, count=1).close()
    last = lines(path)[-1]
    assert last["kind"] == "sign"
    *before, end = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*before, end.replace(last["at"], "2020-01-01T00:00:00.000Z")]))
    with pytest.raises(Broken, match="has a signature that does not hold"):
        verify(path, checker=Checker(key))


def test_lines_behind_the_last_signature_are_counted_and_may_be_cut(path: Path, key: Path) -> None:
    """What nobody has signed yet can be cut off unseen, unless a head was exported."""
    ledger = write(path, key, count=5)
    found = verify(path, checker=Checker(key))
    assert found.head.number - found.signed.last == 10
    head = ledger.head
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-4]))
    cut = verify(path, checker=Checker(key))
    assert cut.head.number - cut.signed.last == 6
    with pytest.raises(Broken, match="its end is cut off"):
        verify(path, head, checker=Checker(key))


def test_lines_that_were_there_before_the_first_signature_are_told(path: Path, key: Path) -> None:
    write(path, None, count=5).close()
    write(path, key, count=1).close()
    assert verify(path, checker=Checker(key)).signed.first == 12


def test_limits_name_the_key(path: Path, key: Path) -> None:
    ledger = open_ledger(str(path), SMALL, 0, str(key))
    close_ledger(ledger)
    assert verify(path, checker=Checker(key)).signed.count == 1


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "curve.pem").write_bytes(pem)
    (tmp_path / "text.pem").write_text("no key")
    for name, says in (
        ("absent.pem", "can't be read: No such file"),
        ("text.pem", "is no private key in PEM"),
        ("curve.pem", "another kind than Ed25519: openssl genpkey"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            Signer(tmp_path / name)
    with pytest.raises(ConfigurationError, match="is no public key in PEM"):
        Checker(tmp_path / "text.pem")
