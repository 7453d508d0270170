"""deploy/compose: what it promises about each container, and the whole service run from it by a real
Docker engine, with stand-ins for the servers' images."""
import json
import re
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from media import probe
from podman import ROOT, command
from service import Service, wait_until

COMPOSE = ROOT / "deploy" / "compose"
ROLES = ["gateway", "auth", "converter", "notifier"]
FILE = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES = FILE["services"]


def test_the_compose_file_keeps_to_the_schema(tools):
    command(tools / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE / "compose.yaml")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little_and_grow_little(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] and service["pids_limit"]
    assert service["logging"]["options"]["max-size"] and service["logging"]["options"]["max-file"]
    assert "privileged" not in service and service.get("network_mode") in (None, "service:mongodb")
    if name in [*ROLES, "migrate"]:
        assert service["read_only"] and service["stop_grace_period"] == "60s"
    else:
        assert service["user"] not in ("root", "0")


def test_only_the_gateway_is_published_and_only_on_this_machine():
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert list(published) == ["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in published["gateway"])


def test_only_the_gateway_has_a_way_out():
    outward = {name for name, network in FILE["networks"].items() if not (network or {}).get("internal")}
    assert outward == {"public"}
    assert [name for name, each in SERVICES.items() if "public" in each.get("networks", [])] == ["gateway"]
    assert all(each.get("networks") or each.get("network_mode") for each in SERVICES.values())


def copy(folder: Path) -> Path:
    """The files as a clone has them, without anybody's passwords."""
    return shutil.copytree(COMPOSE, folder / "compose", ignore=shutil.ignore_patterns("secrets*"))


def test_passwords_are_made_once_and_kept_from_other_people(tmp_path):
    folder = copy(tmp_path)
    subprocess.run([folder / "make-secrets"], check=True)
    first = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    subprocess.run([folder / "make-secrets"], check=True)
    assert first == {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    other = copy(tmp_path / "other")
    subprocess.run([other / "make-secrets"], check=True)
    assert not passwords(folder) & passwords(other)


def passwords(folder: Path) -> set[str]:
    return {word for path in (folder / "secrets").iterdir()
            for word in re.findall(r"\b[0-9a-f]{48}\b", path.read_text())}


class Stack(Service):
    """The running compose file, seen from outside by its published port."""

    def __init__(self, docker, folder: Path):
        super().__init__(folder / "unused")
        self.docker, self.folder, self.port = docker, folder, 8080

    def up(self):
        self.docker.run(self.folder / "start", "--no-build", cwd=self.folder, timeout=600)

    def compose(self, *words, check: bool = True):
        return self.docker.run("docker-compose", *words, cwd=self.folder, check=check, timeout=300)

    def request(self, *words, **options):
        with self.docker.network():
            return super().request(*words, **options)

    def containers(self, service: str) -> list[dict]:
        ids = self.docker.run("docker", "ps", "--all", "--quiet", "--filter",
                              f"label=com.docker.compose.service={service}").stdout.split()
        return json.loads(self.docker.run("docker", "inspect", *ids).stdout)

    def reaches(self, service: str, host: str, port: int) -> bool:
        """Whether a program in that container's network, which has no shell itself, gets a connection."""
        place = f"container:{self.containers(service)[0]['Id']}"
        return self.docker.run("docker", "run", "--rm", "--network", place, "--entrypoint", "timeout",
                               "mongo:8.0", "5", "bash", "-c", f"</dev/tcp/{host}/{port}",
                               check=False).returncode == 0


@pytest.fixture(scope="module")
def stack(docker, tmp_path_factory):
    running = Stack(docker, copy(tmp_path_factory.mktemp("stack")))
    running.up()
    yield running
    print(running.compose("logs", "--no-color", "--tail", "20", check=False).stdout[-20000:])
    running.compose("down", "--volumes")


@pytest.fixture(scope="module")
def converted(stack, video) -> dict:
    """A user's conversion that is ready, with its token and the text of its mail."""
    token = stack.user("anna@example.org")
    answer = stack.upload(token, video)
    assert answer.status == 201, answer.body
    found = stack.wait_for(token, answer.json["id"], "ready", 120)

    def mail():
        text = stack.compose("exec", "-T", "mail", "wget", "-qO-", "http://127.0.0.1:8025/view/latest.txt",
                             check=False).stdout
        return text if found["id"] in text else None
    return {"id": found["id"], "token": token,
            "mail": wait_until(mail, 60, 0.5, "the mail about it")}


def download(stack, converted, folder: Path) -> bytes:
    answer = stack.request("GET", f"/api/v1/conversions/{converted['id']}/audio", token=converted["token"])
    assert answer.status == 200 and answer.headers["Content-Type"] == "audio/mpeg"
    (folder / "sound.mp3").write_bytes(answer.body)
    assert abs(float(probe(folder / "sound.mp3")["duration"]) - 3) < 0.1
    return answer.body


def test_roles_start_after_the_migration_and_all_get_well(stack):
    ended = stack.containers("migrate")[0]["State"]
    assert ended["ExitCode"] == 0
    for name in ROLES:
        containers = stack.containers(name)
        assert len(containers) == SERVICES[name].get("scale", 1)
        for each in containers:
            assert each["State"]["StartedAt"] > ended["FinishedAt"]
            assert each["Config"]["User"] == "10001:10001" and each["HostConfig"]["ReadonlyRootfs"]
    for name in [*ROLES, "mariadb", "rabbitmq", "mongodb"]:
        wait_until(lambda: all(each["State"]["Health"]["Status"] == "healthy"
                               for each in stack.containers(name)), 120, 0.5, f"{name} to be healthy")


def test_a_video_becomes_an_mp3_and_a_mail(stack, converted, tmp_path):
    sound = download(stack, converted, tmp_path)
    link = re.search(r"http://127\.0\.0\.1:8080(/d/\S+)", converted["mail"])[1]
    assert stack.request("GET", link).body == sound


def test_a_role_reaches_the_servers_that_it_works_with_and_no_others(stack):
    wanted = [("converter", "mariadb", 3306), ("notifier", "mail", 1025), ("gateway", "auth", 8082)]
    unwanted = [("converter", "mail", 1025), ("auth", "mongodb", 27017), ("auth", "rabbitmq", 5672),
                ("notifier", "mongodb", 27017), ("mail", "mariadb", 3306)]
    with ThreadPoolExecutor() as threads:  # a name that nobody has is looked for until the time is over
        reached = threads.map(lambda way: way if stack.reaches(*way) else None, wanted + unwanted)
        assert [way for way in reached if way] == wanted


def test_no_password_is_in_a_log_or_in_what_docker_shows(stack, converted):
    secrets = passwords(stack.folder)
    assert len(secrets) == 8
    shown = stack.compose("logs", "--no-color").stdout
    for name in SERVICES:
        shown += json.dumps(stack.containers(name))
    assert not [secret for secret in secrets if secret in shown]


def test_everything_is_still_there_after_down_and_start(stack, converted, tmp_path):
    before = download(stack, converted, tmp_path)
    stack.compose("down")
    stack.up()
    assert download(stack, converted, tmp_path) == before
