"""tests/fuzz/campaign with few files, so that it works on the day that somebody needs it, and with the
files that its runs have found."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from service import BUILD

CAMPAIGN = Path(__file__).resolve().parents[1] / "fuzz" / "campaign"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Runs it with these options; findings and state are kept in the folder that is given."""
    seeds = tmp_path_factory.mktemp("seeds")

    def run(folder: Path, *options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, CAMPAIGN, BUILD, "--seeds", seeds, "--findings", folder / "findings",
             "--state", folder / "state", *map(str, options)], capture_output=True, text=True,
            timeout=600)

    return run


def test_no_file_does_harm_that_once_did(campaign, tmp_path):
    done = campaign(tmp_path, "--unbroken")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split(" done\n")[0]) >= 50


def test_three_hundred_broken_files_do_no_harm(campaign, tmp_path):
    done = campaign(tmp_path, "--seed", 7, "--count", 300, "--jobs", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "state").read_text())["counts"]
    assert sum(counts.values()) == 300
    # Harmless because nothing was reached would be no proof.
    assert counts["done"] >= 60
    assert {"failed not_media", "failed truncated", "failed unsupported_codec"} <= set(counts)


def test_a_child_without_a_verdict_is_a_finding_and_its_file_is_kept(campaign, tmp_path):
    done = campaign(tmp_path, "--count", 3, "--program", "/bin/true")
    assert done.returncode == 1
    assert done.stdout.count("FINDING --seed 1 --only ") == 3
    assert sorted(path.name for path in (tmp_path / "findings").iterdir()) == [
        "1-0.mp4", "1-1.mp4", "1-2.mp4"]


def test_a_run_that_was_stopped_goes_on_where_it_was(campaign, tmp_path):
    for count in (2, 5):
        campaign(tmp_path, "--count", count, "--program", "/bin/true")
    state = json.loads((tmp_path / "state").read_text())
    assert state["next"] == 5
    assert [finding["index"] for finding in state["findings"]] == [0, 1, 2, 3, 4]
