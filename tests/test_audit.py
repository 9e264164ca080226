"""What is said of pins with known vulnerabilities: `make audit`, on a tiny database."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLEAN, VULNERABLE, WRONG, NO_DATABASE = range(4)


def record(name: str, events: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    told = {"id": "PYSEC-1", "modified": "2026-11-01T00:00:00Z", "aliases": ["CVE-2026-1"]}
    return {**told, "affected": [affected], **more}


def audit(database: Path | None, folder: Path) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / ".ci/audit.py"), "--pins", str(folder)]
    command += [] if database is None else ["--database", str(database)]
    env = {name: value for name, value in os.environ.items() if name != "AUDIT_DATABASE"}
    ended = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert not ended.stderr
    return ended.returncode, ended.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pins"
    (path / "locks").mkdir(parents=True)
    (path / "constraints.txt").write_text("# tested\nSome_Thing==1.10.0\nother==2.0\n")
    lock = 'some.thing==1.9.0 ; sys_platform == "linux" \\\n    --hash=sha256:00\n'
    (path / "locks/image.txt").write_text(lock)
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "osv"
    path.mkdir()
    return path


FIXED = [{"introduced": "0"}, {"fixed": "1.9.5"}]


@pytest.mark.parametrize(
    ("events", "hit"),
    [
        (FIXED, ["1.9.0"]),
        ([{"introduced": "1.10"}], ["1.10.0"]),
        ([{"introduced": "0"}, {"last_affected": "1.10.0"}], ["1.10.0", "1.9.0"]),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.10"}], ["1.10.0"]),
        ([{"introduced": "0"}, {"fixed": "1.0"}], []),
        ([{"introduced": "2"}], []),
    ],
)
def test_a_pin_in_a_range_is_named_with_the_way_out(
    folder: Path, database: Path, events: list[dict[str, str]], hit: list[str]
) -> None:
    (database / "one.json").write_text(json.dumps(record("some-thing", events)))
    status, told = audit(database, folder)
    assert status == (VULNERABLE if hit else CLEAN)
    lines = [line for line in told.splitlines() if "PYSEC-1 (CVE-2026-1)" in line]
    assert [line.split()[2] for line in lines] == hit
    assert all(line.startswith("audit: some-thing ") for line in lines)
    if hit == ["1.9.0"]:
        assert "(locks/image.txt)" in told and "mended in 1.9.5" in told


@pytest.mark.parametrize("form", ["folder", "zip", "git"])
def test_each_form_of_a_database_is_read(
    folder: Path, database: Path, tmp_path: Path, form: str
) -> None:
    file = database / "one.yaml"
    file.write_text(json.dumps(record("Some_Thing", FIXED)))  # JSON is YAML
    source = database
    if form == "zip":
        source = tmp_path / "all.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.write(file, "one.yaml")
    if form == "git":
        source = tmp_path / "bare"
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(database)]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
            subprocess.run([*git, *words], check=True)
        subprocess.run(["git", "clone", "-q", "--bare", database, source], check=True)
    assert audit(source, folder)[0] == VULNERABLE


def test_what_people_have_judged_is_seen(folder: Path, database: Path) -> None:
    (database / "one.json").write_text(json.dumps(record("some-thing", FIXED)))
    (folder / "audit-seen.txt").write_text("CVE-2026-1  # we never call that function\n")
    status, told = audit(database, folder)
    assert status == CLEAN and "0 new, 1 seen" in told


def test_a_record_that_was_withdrawn_or_is_of_others_counts_for_nothing(
    folder: Path, database: Path
) -> None:
    withdrawn = record("some-thing", FIXED, withdrawn="2026-11-02T00:00:00Z")
    (database / "one.json").write_text(json.dumps(withdrawn))
    foreign = record("some-thing", FIXED)
    foreign["affected"][0]["package"]["ecosystem"] = "npm"
    (database / "two.json").write_text(json.dumps(foreign))
    assert audit(database, folder)[0] == CLEAN


def test_an_old_database_says_so(folder: Path, database: Path) -> None:
    old = record("some-thing", [{"introduced": "7"}], modified="2020-01-01T00:00:00Z")
    (database / "one.json").write_text(json.dumps(old))
    status, told = audit(database, folder)
    assert status == CLEAN and "warning: its newest record about one of them is" in told


def test_without_a_database_nothing_was_checked_and_it_says_so(
    folder: Path, tmp_path: Path
) -> None:
    for database in (None, tmp_path / "absent"):
        status, told = audit(database, folder)
        assert status == NO_DATABASE and "nothing was checked" in told


def test_all_pins_of_the_project_are_read(database: Path) -> None:
    status, told = audit(database, ROOT / ".ci")
    assert status == CLEAN
    count = int(told.rpartition("audit: ")[2].split()[0])
    assert count >= 300


def test_a_bill_of_materials_names_what_an_image_installs(tmp_path: Path) -> None:
    tool = ROOT / ".venv-sbom/bin/cyclonedx-py"
    if not tool.is_file():
        pytest.skip("no CycloneDX tool here: make sbom installs it")
    made = subprocess.run(
        [ROOT / ".ci/sbom", tool, tmp_path], capture_output=True, text=True, check=True
    )
    assert len(made.stdout.splitlines()) == 4
    bill = json.loads((tmp_path / "hem.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "kserve-hem"
    named = {f"{each['name']}=={each['version']}" for each in bill["components"]}
    locked = (ROOT / ".ci/locks/hem.txt").read_text().splitlines()
    pinned = {line.split()[0] for line in locked if "==" in line and line[0].isalnum()}
    assert named == pinned
    assert all(each["purl"].startswith("pkg:pypi/") for each in bill["components"])
