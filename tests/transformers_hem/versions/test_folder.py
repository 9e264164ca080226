"""Versions of a router: whole, never changed, one of them in force."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from tests.nobody import nobody
from tests.soak.full_disk import full_disk
from tests.transformers_hem.versions.routers import ADDED, router_with
from transformers_hem.calibration.calibrate import require_writable
from transformers_hem.reload.reloading import Reloading
from transformers_hem.reload.shown import shown
from transformers_hem.routers.directory import locate
from transformers_hem.routers.scoring import open_router
from transformers_hem.serving.settings import HEMSettings
from transformers_hem.versions import disk
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.locks import RETRAIN, SWITCH, LockedError, held
from transformers_hem.versions.record import require_whole

# A process that has a lock, and ends without letting go of it.
DIES = """
import os, sys
from pathlib import Path
from transformers_hem.versions.locks import RETRAIN, held
held(Path(sys.argv[1]), RETRAIN, "one that dies").__enter__()
os._exit(0)
"""


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """With two: the second is in force."""
    made = Versions.at(tmp_path / "versions")
    made.promote(router_with(0.1, tmp_path / "one"), ADDED, "the first", None, how="added")
    made.promote(router_with(0.2, tmp_path / "two"), ADDED, "better", 1)
    return made


def threshold_in_force(versions: Versions) -> float | None:
    return open_router(str(versions.folder)).default_threshold


def test_the_folder_means_the_version_that_it_points_to(versions: Versions) -> None:
    assert versions.current == 2 and versions.numbers() == [1, 2]
    assert locate(str(versions.folder)) == versions.folder / "2"
    assert threshold_in_force(versions) == 0.2


def test_a_version_says_where_it_comes_from_and_its_files_are_for_reading(
    versions: Versions,
) -> None:
    version = require_whole(versions.directory(2))
    assert (version.number, version.algorithm, version.origin) == (2, "LinearRouter", ADDED)
    assert set(version.files) >= {"config.json", "weights.safetensors"}
    for file in versions.directory(2).iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert stat.S_IMODE(versions.directory(2).stat().st_mode) == 0o755


def test_a_server_takes_a_switch_up_and_a_rollback_too(versions: Versions, tmp_path: Path) -> None:
    reloading = Reloading(HEMSettings(router=str(versions.folder)))
    assert reloading.current.now.decider.threshold == 0.2
    assert reloading.look() is None
    versions.promote(router_with(0.3, tmp_path / "three"), ADDED, "better still", 2)
    assert reloading.look() is None  # has not settled yet
    assert reloading.look() is not None
    assert reloading.current.now.decider.threshold == 0.3
    assert shown(reloading)["router_version"] == 3
    assert shown(reloading)["router"] == str(versions.folder)
    versions.roll_back(None, "as told")
    assert reloading.look() is None and reloading.look() is not None
    assert reloading.current.now.decider.router_version == 2


def test_a_router_that_cannot_be_loaded_never_comes_into_force(
    versions: Versions, tmp_path: Path
) -> None:
    bad = router_with(0.5, tmp_path / "bad")
    weights = Path(bad, "weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match="sha256 differs"):
        versions.promote(bad, ADDED, "", 2)
    assert versions.current == 2
    assert sorted(os.listdir(versions.folder)) == [".switch.lock", "1", "2", "current.json"]


def test_what_was_compared_with_another_version_is_not_promoted(
    versions: Versions, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="had version 1 in force, and now has 2"):
        versions.promote(router_with(0.3, tmp_path / "three"), ADDED, "", 1)
    assert versions.current == 2


def test_rolling_back_twice_goes_back_twice(versions: Versions, tmp_path: Path) -> None:
    versions.promote(router_with(0.3, tmp_path / "three"), ADDED, "", 2)
    assert versions.roll_back(None, "bad").number == 2
    assert versions.roll_back(None, "bad, too").number == 1
    with pytest.raises(ConfigurationError, match="no version before 1"):
        versions.roll_back(None, "no way")
    assert versions.roll_back(3, "by hand").number == 3
    assert versions.roll_back(None, "again").number == 1


def test_a_number_is_given_once(versions: Versions, tmp_path: Path) -> None:
    versions.roll_back(1, "")
    shutil.rmtree(versions.directory(2))
    third = versions.promote(router_with(0.3, tmp_path / "three"), ADDED, "", 1)
    assert third.number == 3


def test_a_damaged_version_is_not_rolled_back_to(versions: Versions) -> None:
    words = versions.directory(1) / "config.json"
    words.chmod(0o644)
    words.write_text(words.read_text() + " ")
    with pytest.raises(
        ConfigurationError, match=r"version 1 is damaged: .*config.json has changed"
    ):
        versions.roll_back(None, "")
    assert versions.current == 2


def test_the_oldest_are_deleted_but_never_the_one_in_force_or_the_one_before(
    versions: Versions, tmp_path: Path
) -> None:
    for number in range(3, 6):
        router = router_with(number / 10, tmp_path / f"router-{number}")
        versions.promote(router, ADDED, "", number - 1, keep=2)
    assert versions.numbers() == [4, 5]
    versions.roll_back(4, "")
    versions.promote(router_with(0.6, tmp_path / "six"), ADDED, "", 4, keep=1)
    assert versions.numbers() == [4, 6]


def test_two_at_once_are_told_apart_and_a_lock_ends_with_its_holder(versions: Versions) -> None:
    with (
        held(versions.folder, RETRAIN, "retraining of version 2"),
        pytest.raises(LockedError, match=r"is busy: retraining of version 2, by process \d+ on "),
        held(versions.folder, RETRAIN, "another"),
    ):
        raise AssertionError("both have it")
    subprocess.run([sys.executable, "-c", DIES, str(versions.folder)], cwd=ROOT, check=True)
    with held(versions.folder, RETRAIN, "another"):
        pass


def test_a_switch_waits_for_another_one(versions: Versions) -> None:
    begun, done = threading.Event(), threading.Event()

    def roll_back() -> None:
        begun.set()
        versions.roll_back(None, "")
        done.set()

    with held(versions.folder, SWITCH, "a switch"):
        thread = threading.Thread(target=roll_back)
        thread.start()
        begun.wait(5)
        assert not done.wait(0.2) and versions.current == 2
    thread.join(10)
    assert versions.current == 1


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    router = router_with(0.1, tmp_path / "router")
    with pytest.raises(ConfigurationError, match="is a router, and not a folder of versions"):
        Versions.at(Path(router))


def test_a_version_can_not_be_calibrated_in_its_place(versions: Versions) -> None:
    for name in (versions.folder, versions.directory(1)):
        with pytest.raises(ConfigurationError, match="never changes"):
            require_writable(str(name), None)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b'{"current": 7, "highest": 7}', "points to version 7"), (b'{"curr', "--rollback VERSION")],
)
def test_a_pointer_to_nothing_is_told_with_the_way_out(
    versions: Versions, content: bytes, why: str
) -> None:
    reloading = Reloading(HEMSettings(router=str(versions.folder)))
    (versions.folder / "current.json").write_bytes(content)
    assert reloading.look() is None
    report = reloading.look()
    assert report is not None and why in report.refused[0].error
    assert reloading.current.now.decider.router_version == 2
    versions.roll_back(1, "by hand")
    assert reloading.look() is None and reloading.look() is not None
    assert reloading.current.now.decider.router_version == 1


def test_a_folder_that_nobody_may_look_into_is_told(versions: Versions) -> None:
    versions.folder.chmod(0)
    told = f"{versions.folder} can't be read: Permission denied"
    with nobody():
        for look in (lambda: Versions.at(versions.folder, make=False), versions.numbers):
            with pytest.raises(ConfigurationError, match=told):
                look()
        with pytest.raises(ConfigurationError, match=told):
            locate(str(versions.folder))
    versions.folder.chmod(0o755)


def test_a_full_disk_leaves_the_version_in_force_and_no_part_of_another(tmp_path: Path) -> None:
    router = router_with(0.1, tmp_path / "one")
    with full_disk(tmp_path / "disk") as disk:
        if disk.why_not:
            pytest.skip(disk.why_not)
        versions = Versions.at(disk.folder / "versions")
        versions.promote(router, ADDED, "", None)
        disk.fill()
        with pytest.raises(ConfigurationError, match=r"2 can't be written: .* No space left"):
            versions.promote(router, ADDED, "", 1)
        assert versions.current == 1 and versions.numbers() == [1]
        disk.free()
        assert versions.promote(router, ADDED, "", 1).number == 2
        assert versions.numbers() == [1, 2]


def test_a_version_that_can_not_be_put_in_force_is_not_left_there(tmp_path: Path) -> None:
    versions = Versions.at(tmp_path / "versions")
    (versions.folder / "current.json").mkdir()  # as for a disk that was full just then
    with pytest.raises(ConfigurationError, match=r"current\.json can't be written"):
        versions.promote(router_with(0.1, tmp_path / "one"), ADDED, "", None)
    assert versions.numbers() == []


def test_a_switch_stands_where_the_oldest_can_not_be_deleted(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deletes(folder: Path) -> None:
        raise ConfigurationError(f"{folder} can't be written: Permission denied")

    monkeypatch.setattr("transformers_hem.versions.disk.delete_folder", deletes)
    versions.promote(router_with(0.3, tmp_path / "three"), ADDED, "", 2, keep=1)
    assert versions.current == 3 and versions.numbers() == [1, 2, 3]


def test_a_switch_that_the_disk_may_forget_is_told_as_one(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers have taken it up by then."""
    forced = disk.fsync

    def fails(path: Path) -> None:
        if path == versions.folder and versions.current == switched_to:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        forced(path)

    monkeypatch.setattr(disk, "fsync", fails)
    switched_to = 3
    found = versions.promote(router_with(0.3, tmp_path / "three"), ADDED, "better", 2)
    assert found.number == versions.current == 3
    switched_to = 1
    assert versions.roll_back(1, "worse").number == versions.current == 1


def test_who_lists_versions_makes_no_folder(tmp_path: Path) -> None:
    assert Versions.at(tmp_path / "typo", make=False).numbers() == []
    assert not (tmp_path / "typo").exists()
