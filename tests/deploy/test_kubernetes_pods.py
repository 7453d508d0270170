"""The pods of overlays/local, started for real by podman beside real servers: what their manifests say is
enough for the roles to work, and the rights that they get are no more than that."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from manifests import Manifests
from podman import podman
from pods import Pod, PodServers
from servers import free_port
from service import PASSWORD, Service, wait_until

ROLES = ("auth", "gateway", "converter", "notifier")


class World(Service):
    """The four roles in pods, and a user's view of them (Service)."""

    def __init__(self, manifests: Manifests, servers: PodServers, image: str, folder: Path):
        self.manifests, self.servers, self.image, self.folder = manifests, servers, image, folder
        self.ports = {role: {8080: free_port(), 8081: free_port()} for role in (*ROLES, "migrate")}
        self.port = self.ports["gateway"][8080]
        self.pods = {role: self.pod(role) for role in ROLES}

    def pod(self, role: str) -> Pod:
        ports = self.ports[role]
        overrides = {"UNREEL_ADMIN_LISTEN": f"127.0.0.1:{ports[8081]}"}
        if role == "gateway":
            overrides |= {"UNREEL_LISTEN": f"127.0.0.1:{ports[8080]}",
                          "UNREEL_AUTH_URL": f"http://127.0.0.1:{self.ports['auth'][8080]}"}
        if role == "auth":
            overrides |= {"UNREEL_AUTH_LISTEN": f"127.0.0.1:{ports[8080]}"}
        return Pod(self.manifests, role, self.folder, self.servers.here, self.image, ports, overrides)

    def wait_ready(self):
        def waiting():
            return {role: pod.probe("readinessProbe") for role, pod in self.pods.items()
                    if pod.probe("readinessProbe")[0] != 200}
        try:
            wait_until(lambda: not waiting(), 90, 0.2)
        except AssertionError:
            raise AssertionError(f"not ready: {waiting()}\n" + "\n".join(
                f"--- {role}\n{pod.log()[-1500:]}" for role, pod in self.pods.items())) from None


@pytest.fixture(scope="module")
def world(image, tmp_path_factory):
    manifests = Manifests("local")
    folder = tmp_path_factory.mktemp("pods")
    folder.chmod(0o755)
    with PodServers(manifests, folder / "servers") as servers:
        made = World(manifests, servers, image, folder)
        try:
            for pod in made.pods.values():
                pod.start()
            yield made
        finally:
            for pod in made.pods.values():
                pod.remove()


def test_before_the_migration_pods_live_and_are_not_ready(world):
    for role, pod in world.pods.items():
        wait_until(lambda p=pod: p.probe("startupProbe")[0] == 200, 60, what=f"{role} to live\n{pod.log()}")
        assert pod.probe("livenessProbe")[0] == 200, role
        status, said = pod.probe("readinessProbe")
        assert status == 503 and ("accounts: " if role == "auth" else "jobs: ") in said, (role, said)


def test_the_migration_job_makes_them_ready(world):
    for _ in range(2):  # harmless when run again
        job = world.pod("migrate")
        try:
            done = job.run()
            assert done.returncode == 0, done.stderr
        finally:
            job.remove()
    world.wait_ready()


def test_only_the_migration_may_change_tables(world):
    """The users that servers/mariadb-users.sh made, by the passwords in the roles' secrets."""
    def asked(user: str, sql: str) -> subprocess.CompletedProcess:
        password = next(value.decode() for each in world.manifests.of_kind("Secret")
                        for key, value in world.manifests.secret(each["metadata"]["name"]).items()
                        if key == user and each["metadata"]["name"].startswith("mariadb-"))
        return subprocess.run(
            ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={world.servers.mariadb.port}",
             "--protocol=tcp", f"--user={user}", "--batch", "--skip-column-names", "--execute", sql],
            text=True, capture_output=True, env=os.environ | {"MYSQL_PWD": password})
    assert "denied" in asked("jobs", "CREATE TABLE jobs.x (a INT)").stderr
    assert "denied" in asked("jobs", "SELECT * FROM accounts.account").stderr
    assert "denied" in asked("accounts", "SELECT * FROM jobs.conversion").stderr
    assert "denied" in asked("scaler", "DELETE FROM jobs.conversion").stderr
    _, database = Manifests("production").find("ScaledObject", "converter")["spec"]["triggers"]
    counted = asked("scaler", f"USE jobs; {database['metadata']['query']}")
    assert counted.stdout.strip() == "0", counted.stderr


def test_each_has_the_rights_that_its_manifest_says(world):
    for role, pod in world.pods.items():
        status = pod.status()
        context = pod.spec["securityContext"]
        assert status["Uid"].split() == [str(context["runAsUser"])] * 4, role
        assert status["Gid"].split() == [str(context["runAsGroup"])] * 4, role
        assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd")} == {"0" * 16}, role
        assert status["NoNewPrivs"] == "1", role
        mounts = Path(f"/proc/{pod.pid()}/mounts").read_text().splitlines()
        root = next(line.split() for line in mounts if line.split()[1] == "/")
        assert "ro" in root[3].split(","), role


def test_an_administrator_is_added_in_the_pod_of_auth(world):
    """The command that README.md gives."""
    podman("exec", "--interactive", world.pods["auth"].name, "unreel", "user", "add", "root@example.org", "--admin",
           "--password-stdin", input=PASSWORD + "\n")
    assert world.login("root@example.org")


def test_a_video_goes_through_all_four_pods(world, video):
    token = world.user("anna@example.org")
    answer = world.upload(token, video)
    assert answer.status == 201, answer.body
    conversion = world.wait_for(token, answer.json["id"], "ready", 120)
    sound = world.request("GET", f"/api/v1/conversions/{conversion['id']}/audio", token=token)
    assert sound.status == 200 and len(sound.body) == conversion["audio"]["bytes"]
    wait_until(lambda: any(conversion["id"] in mail.read_text(errors="replace")
                           for mail in world.servers.smtp.mails.iterdir()), 60, what="the mail")


def test_the_scaler_may_count_the_queue(world):
    """The request that KEDA makes, with the user and the address in its secret."""
    host = world.manifests.secret("scaler")["rabbitmq-host"].decode()
    assert host.startswith("http://unreel:") and host.endswith("/unreel")
    queue = wait_until(lambda: world.servers.rabbitmq.manage("GET", "/api/queues/unreel/video"), 30)
    wait_until(lambda: "messages" in world.servers.rabbitmq.manage("GET", "/api/queues/unreel/video"), 30,
               what=json.dumps(queue))


def test_no_log_holds_a_secret(world):
    secrets = {value.decode().strip() for each in world.manifests.of_kind("Secret")
               for value in world.manifests.secret(each["metadata"]["name"]).values()}
    passwords = {text for text in secrets if len(text) == 48 or len(text) == 64}
    assert len(passwords) >= 8
    for role, pod in world.pods.items():
        log = pod.log()
        assert log and not [text for text in passwords if text in log], role


def test_they_stop_in_the_time_that_they_get(world):
    for role, pod in world.pods.items():
        assert pod.stop() == 0, f"{role}\n{pod.log()[-2000:]}"
