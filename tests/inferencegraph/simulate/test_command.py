"""`python -m inferencegraph.simulate`."""

import json
import subprocess
import sys

import pytest

TRAFFIC = ("--nodes", "3", "--rate", "0.5", "--hard", "0.3", "--seconds", "50")


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inferencegraph.simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_table_has_all_sites_and_the_slowest() -> None:
    result = simulate(*TRAFFIC, "--sites", "1", "--cloud-replicas", "2")
    assert result.returncode == 0, result.stderr
    assert "all 3 sites" in result.stdout
    assert result.stdout.count("node-") == 1
    assert "cloud: 2 replica(s), busy" in result.stdout


def test_json_has_each_site_and_null_for_what_nobody_answered() -> None:
    # No edge can answer within the graph's limit on a step.
    result = simulate(*TRAFFIC, "--hard", "0", "--edge", "9", "--step-seconds", "1", "--json")
    found = json.loads(result.stdout)
    assert [site["name"] for site in found["sites"]] == ["node-1", "node-2", "node-3"]
    assert found["served"]["failed"] == found["served"]["came"] > 0
    assert found["served"]["latency"]["p95"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--nodes", "0"), "--nodes is 1 at least, not 0"),
        (("--rate", "0"), "rate is a number above 0, not 0"),
        (("--hard", "1.5"), "hard is a share from 0 to 1, not 1.5"),
        (("--edge-places", "0"), "places is 1 at least, not 0"),
        (("--cloud-replicas", "-1"), "replicas is 1 at least, not -1"),
        (("--seconds", "nan"), "seconds is a number above 0, not nan"),
        (("--edge", "slow"), "'slow' is no number of seconds"),
        (("--uplink-timeout", "0"), "the uplink's limits"),
    ],
)
def test_what_can_not_be_simulated_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = simulate(*TRAFFIC, *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_simpy_it_says_what_to_install() -> None:
    code = (
        "import runpy, sys; sys.modules['simpy'] = None;"
        f"sys.argv[1:] = {list(TRAFFIC)!r};"
        "runpy.run_module('inferencegraph.simulate', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert "simulating needs simpy: pip install 'kserve-hem[simulation]'" in result.stderr
