import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from media import short_video  # noqa: E402
from service import BUILD, Service, is_sanitized  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "release_build: says something about a release build only")


def pytest_collection_modifyitems(config, items):
    """Sanitizers need memory of their own: what measures it is left out there."""
    if is_sanitized():
        left_out = [item for item in items if item.get_closest_marker("release_build")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


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
