import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from media import short_video  # noqa: E402
from service import BUILD, Service  # noqa: E402


@pytest.fixture(scope="session")
def build_dir() -> Path:
    return BUILD


@pytest.fixture(scope="session")
def media_dir(tmp_path_factory) -> Path:
    """A folder for media that several tests use."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def video(media_dir) -> Path:
    return short_video(media_dir)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One running service for the tests of a file."""
    running = Service(tmp_path_factory.mktemp("service") / "data").start()
    yield running
    assert running.stop() == 0, running.log()[-3000:]


@pytest.fixture
def new_service(tmp_path):
    """A function that makes services of one's own, stopped at the end."""
    made = []

    def make(**options) -> Service:
        made.append(Service(tmp_path / f"data{len(made)}", **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()
