"""The image: what is in it, and that it runs as people are told to run it."""
import json
import re
import socket
import stat
import tarfile

import pytest
from media import probe
from podman import command, inspect, podman
from servers import Servers
from service import Service, wait_until

LOCKED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=512m"]
ROLES = ["gateway", "auth", "converter", "notifier"]


@pytest.fixture(scope="module")
def files(image, tmp_path_factory) -> dict[str, tarfile.TarInfo]:
    """All that is in the image, by path."""
    container = podman("create", "--no-healthcheck", image)
    archive = tmp_path_factory.mktemp("image") / "files.tar"
    podman("export", "--output", archive, container)
    podman("rm", container)
    with tarfile.open(archive) as content:
        found = {member.name.removeprefix("./"): member for member in content}
    archive.unlink()
    return found


@pytest.fixture
def containers():
    """Runs containers that are gone after the test; their data is a volume of the test."""
    names, networks = [], []

    def run(image: str, *words, options=()) -> str:
        name = f"unreel-test-{len(names)}-{words[0] if words else 'serve'}"
        names.append(name)
        podman("run", "--detach", "--name", name, *LOCKED, *options, image, *words)
        return name

    def network() -> str:
        networks.append(podman("network", "create", f"unreel-test-{len(networks)}"))
        return networks[-1]

    run.network = network
    leave_nothing()
    yield run
    for name in names:
        print(name, command("podman", "logs", "--tail", "20", name, check=False).stderr)
    leave_nothing()


def leave_nothing():
    left = podman("ps", "--all", "--quiet", "--filter", "name=unreel-test-").split()
    if left:
        podman("rm", "--force", "--volumes", "--time", "10", *left)
    for kind in ("network", "volume"):
        for name in podman(kind, "ls", "--quiet", "--filter", "name=unreel-test-").split():
            podman(kind, "rm", "--force", name)


def is_healthy(container: str, *words) -> bool:
    return command("podman", "exec", container, "/usr/local/bin/unreel", "healthcheck", *words,
                   check=False).returncode == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_the_dockerfile_keeps_the_rules_of_hadolint(tools):
    command(tools / "hadolint", "deploy/Dockerfile")


def test_the_c_tests_pass_on_debian_13(image):
    output = command("scripts/build-image", "test", timeout=1800).stdout
    # a build that was done before with the same source is taken from the cache, whole
    assert re.search(r"^Fail: +0", output, re.MULTILINE) or "Using cache" in output


def test_the_backends_keep_their_contracts_with_debian_13s_libraries(image, tmp_path):
    """libmariadb, librabbitmq, libmongoc and libcurl as the image has them, on real servers."""
    command("scripts/build-image", "test", timeout=1800)
    with Servers(tmp_path, durable=False) as servers:
        variables = servers.variables()
        options = [word for name in variables for word in ("--env", f"{name}={variables[name]}")]
        output = podman("run", "--rm", "--network", "host", "--volume", f"{tmp_path}:{tmp_path}",
                        *options, "unreel-test", "meson", "test", "-C", "/build", "--no-rebuild",
                        "--print-errorlogs", "--timeout-multiplier", "4", "*-mysql", "*-rabbitmq",
                        "*-mongodb", "*-smtp", timeout=1800)
    counts = dict(re.findall(r"^(\w+): +(\d+)", output, re.MULTILINE))
    assert (counts["Fail"], counts["Skipped"]) == ("0", "0") and int(counts["Ok"]) >= 17, output


def test_it_has_no_shell_no_package_manager_and_no_other_program(files):
    programs = {name for name, member in files.items()
                if member.isfile() and member.mode & 0o111 and ".so" not in name}
    assert programs == {"usr/local/bin/unreel", "usr/local/bin/unreel-media"}


def test_nothing_in_it_changes_who_one_is_or_can_be_written_by_its_user(files):
    for name, member in files.items():
        assert not member.mode & (stat.S_ISUID | stat.S_ISGID), name
        if name != "data" and member.isfile():
            assert member.uid == 0 and not member.mode & 0o022, name


def test_it_has_authorities_time_zones_and_what_scanners_read(files):
    for name in ("etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Berlin",
                 "etc/os-release", "var/lib/dpkg/status.d/libc6", "usr/share/doc/libc6/copyright"):
        assert name in files
    libraries = [name for name in files if "libmariadb.so" in name]
    if libraries:
        assert any(name.endswith("caching_sha2_password.so") for name in files)


def test_it_is_no_larger_than_it_has_to_be(files):
    megabytes = sum(member.size for member in files.values()) / 1e6
    print(f"{megabytes:.0f} MB")
    assert megabytes < 200


def test_it_says_how_to_run_it(image):
    about = inspect(image)
    config = about["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/usr/local/bin/unreel"]
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/data"]
    assert about["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/unreel", "healthcheck"]
    labels = about["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert labels["org.opencontainers.image.version"] in \
        podman("run", "--rm", "--no-healthcheck", image, "--version")


def test_one_container_is_the_whole_service(image, containers, video, tmp_path):
    port = free_port()
    name = containers(image, options=["--publish", f"127.0.0.1:{port}:8080"])
    service = Service(tmp_path / "unused")
    service.port = port
    wait_until(lambda: is_healthy(name, "--ready"), 60, what="the service")
    token = service.user("anna@example.org")
    answer = service.upload(token, video)
    assert answer.status == 201, answer.body
    service.wait_for(token, answer.json["id"], "ready")
    sound = service.request("GET", f"/api/v1/conversions/{answer.json['id']}/audio", token=token)
    assert sound.headers["Content-Type"] == "audio/mpeg"
    (tmp_path / "sound.mp3").write_bytes(sound.body)
    assert abs(float(probe(tmp_path / "sound.mp3")["duration"]) - 3) < 0.1
    assert set(podman("top", name, "huser").split()[1:]) == {"10001"}
    assert podman("healthcheck", "run", name) == ""
    podman("stop", "--time", "60", name)
    assert json.loads(podman("inspect", name))[0]["State"]["ExitCode"] == 0


def test_each_role_answers_the_health_check(image, containers):
    network = containers.network()
    options = ["--network", network, "--volume", "unreel-test-data:/data"]
    podman("run", "--rm", "--no-healthcheck", *LOCKED, *options, image, "migrate")
    for role in ROLES:
        extra = ["--network-alias", role, "--env", "UNREEL_AUTH_LISTEN=0.0.0.0:8082",
                 "--env", "UNREEL_AUTH_URL=http://auth:8082"]
        name = containers(image, role, options=options + extra)
        wait_until(lambda: is_healthy(name), 60, what=role)
    for index, role in enumerate(ROLES):
        wait_until(lambda: is_healthy(f"unreel-test-{index}-{role}", "--ready"), 60, what=role)


def test_a_wrong_setting_is_one_clear_line(image):
    done = command("podman", "run", "--rm", "--no-healthcheck", "--env", "UNREEL_JOBS=oracle:here", image,
                   "gateway", check=False)
    assert done.returncode == 2
    assert "jobs: " in done.stderr and len(done.stderr.strip().splitlines()) == 2
