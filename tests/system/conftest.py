"""Which mode tests run in, and what they are given.

`--mode embedded|distributed|both` (both, unless said otherwise). A test that takes `service`,
`new_service` or whatever depends on `mode` runs once in each; one marked `one_machine` is about what
only `unreel serve` has, one marked `distributed` about what only a cluster has. A test without a
service runs once, not with `--mode distributed`.

Most tests wait more than they work, so run-tests lets several processes share them (`-n`): the tests
of a file and mode stay together except those that make services of their own, and what is marked
`slow` begins first.
"""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from servers import ServerError, Servers  # noqa: E402

from distributed import Distributed  # noqa: E402
from media import short_video  # noqa: E402
from service import BUILD, Embedded, Service, is_sanitized  # noqa: E402

MODES = {"embedded": ["embedded"], "distributed": ["distributed"],
         "both": ["embedded", "distributed"]}


def pytest_addoption(parser):
    parser.addoption("--mode", choices=MODES, default="both")


def pytest_configure(config):
    config.addinivalue_line("markers", "release_build: says something about a release build only")
    config.addinivalue_line("markers", "one_machine: about `unreel serve` and its own stores")
    config.addinivalue_line("markers", "distributed: about roles over real servers")
    config.addinivalue_line("markers", "slow: takes more than half a minute")
    config.addinivalue_line("markers", "xdist_group: stays together")


def pytest_generate_tests(metafunc):
    if "mode" not in metafunc.fixturenames:
        return
    modes = MODES[metafunc.config.getoption("mode")]
    only = [mode for mode, marker in (("embedded", "one_machine"), ("distributed", "distributed"))
            if metafunc.definition.get_closest_marker(marker)]
    metafunc.parametrize("mode", [mode for mode in modes if not only or mode in only],
                         indirect=True, scope="module")


def is_left_out(item) -> bool:
    # Sanitizers need memory of their own: what measures it is left out there.
    if is_sanitized() and item.get_closest_marker("release_build"):
        return True
    # Minutes of waiting for servers: under the sanitizers only when asked for (`-m slow`).
    if is_sanitized() and item.get_closest_marker("slow") and mode_of(item) == "distributed" and \
            "slow" not in item.config.getoption("markexpr"):
        return True
    if "mode" in item.fixturenames:
        return item.callspec.params["mode"] not in MODES["both"]  # none of this run is its own
    return item.config.getoption("mode") == "distributed"


def makes_its_own(item) -> bool:
    """Whether it shares nothing with the other tests of its file."""
    return "new_service" in item.fixturenames and "service" not in item.fixturenames


def mode_of(item) -> str:
    return item.callspec.params["mode"] if "mode" in item.fixturenames else "alone"


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if not makes_its_own(item):
            item.add_marker(pytest.mark.xdist_group(f"{item.module.__name__}-{mode_of(item)}"))


@pytest.fixture(scope="module")
def mode(request) -> str:
    return request.param


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


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """The UNREEL_TEST_ variables of servers that tests share: those of run-tests, else our own."""
    if "UNREEL_TEST_MYSQL" in os.environ:
        yield {name: value for name, value in os.environ.items() if name.startswith("UNREEL_TEST_")}
        return
    try:
        own = Servers(tmp_path_factory.mktemp("servers"), durable=False).start()
    except ServerError as error:
        pytest.skip(f"no servers: {error}")
    yield own.variables()
    own.stop()


@pytest.fixture
def own_server(tmp_path):
    """A function that starts a server of the test's own, which it may hurt: own_server(RabbitMQ)."""
    made = []

    def start(kind, **options):
        made.append(kind(tmp_path / f"server{len(made)}", **options))
        return made[-1].start()

    yield start
    for each in made:
        each.kill()


def factory(mode: str, request, folder: Path, made: list):
    def make(settings: dict | None = None, own: tuple | list = (), **options) -> Service:
        data = folder / f"data{len(made)}"
        if mode == "embedded":
            made.append(Embedded(data, settings, **options))
        else:
            variables = dict(request.getfixturevalue("servers"))
            for server in own:
                variables |= server.variables()
            made.append(Distributed(data, variables, settings, **options))
        return made[-1]
    return make


@pytest.fixture(scope="module")
def module_service(mode, request, tmp_path_factory):
    """A function that makes services for all tests of a file; they have to end well."""
    made = []
    yield factory(mode, request, tmp_path_factory.mktemp("service"), made)
    for each in made:
        status = each.stop()
        each.close()
        assert status == 0, each.log()[-3000:]


@pytest.fixture(scope="module")
def service(module_service) -> Service:
    """One running service for the tests of a file."""
    return module_service().start()


@pytest.fixture
def new_service(mode, request, own_server, tmp_path):
    """A function that makes services of the test's own, stopped at the end, before its servers."""
    made = []
    yield factory(mode, request, tmp_path, made)
    for each in made:
        each.close()
