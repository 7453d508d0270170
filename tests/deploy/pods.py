"""Starts the pods of a manifest with podman, each as its manifest says: image, arguments, environment,
secrets, volumes, user, limits. Different from a cluster: they share this machine's network and its
loopback servers, so hosts in the URLs and ports are replaced, and nobody restarts or probes them.

`podman kube play` is not used: 4.3 crashes on a secret volume without `optional`, hands out secret files
still in base64, and publishes every containerPort on this machine."""
import os
import shutil
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from manifests import ROOT, Manifests, number
from podman import command, podman
from pymongo import MongoClient

sys.path.insert(0, str(ROOT / "scripts"))
from servers import MariaDB, MongoDB, RabbitMQ, SmtpSink, free_port  # noqa: E402


class PodServers:
    """The servers, configured as the manifests configure them as far as that goes on one machine."""

    def __init__(self, manifests: Manifests, folder: Path):
        self.manifests = manifests
        self.mariadb = ConfiguredMariaDB(folder / "mariadb", manifests)
        self.rabbitmq = RabbitMQ(folder / "rabbitmq")
        _configure(self.rabbitmq.node, manifests)
        self.mongodb = MongoDB(folder / "mongodb")
        _demand_log_in(self.mongodb.members[0], self._secret("mongodb", "key"))
        self.smtp = SmtpSink(folder / "smtp")
        self.all = [self.mariadb, self.rabbitmq, self.mongodb, self.smtp]

    def __enter__(self) -> "PodServers":
        try:
            for server in self.all:
                server.launch()
            for server in self.all:
                server.wait()
            self.mariadb.make_users(self.manifests)
            self._make_mongodb_user()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.all:
            server.kill()

    def _secret(self, name: str, key: str) -> str:
        return self.manifests.secret(_hashed(self.manifests, name))[key].decode()

    def _make_mongodb_user(self):
        """What servers/mongodb-initiate.js does, for which there is no shell here. The first user may be
        made from the own machine without a log-in."""
        member = self.mongodb.members[0]
        with member.client() as client:
            client.admin.command("createUser", "root", pwd=self._secret("mongodb", "root"), roles=["root"])
        with MongoClient(f"mongodb://root:{self._secret('mongodb', 'root')}@127.0.0.1:{member.port}/"
                         "?directConnection=true&authSource=admin") as client:
            client.unreel.command("createUser", "unreel", pwd=self._secret("mongodb", "unreel"),
                                  roles=[{"role": "readWrite", "db": "unreel"}])

    def here(self, text: str) -> str:
        """A secret's text with the servers' names replaced by their addresses here."""
        if text.startswith("mongodb://"):
            return text[:text.index("@") + 1] + \
                f"127.0.0.1:{self.mongodb.members[0].port}/unreel?replicaSet={MongoDB.SET}"
        if text.startswith("amqp://"):
            return text[:text.index("@") + 1] + f"127.0.0.1:{self.rabbitmq.port}/unreel"
        if text.startswith("smtp://"):
            return f"smtp://127.0.0.1:{self.smtp.port}?tls=off"
        return text.replace("@mariadb/", f"@127.0.0.1:{self.mariadb.port}/")


def _hashed(manifests: Manifests, name: str) -> str:
    return next(each["metadata"]["name"] for each in manifests.of_kind("Secret")
                if each["metadata"]["name"].rpartition("-")[0] == name)


def _demand_log_in(member, key: str):
    own_command = member.command

    def with_key() -> list[str]:
        path = member.folder / "key"
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_text(key)
        return [*own_command(), "--keyFile", str(path)]

    member.command = with_key


class ConfiguredMariaDB(MariaDB):
    def __init__(self, folder: Path, manifests: Manifests):
        super().__init__(folder)
        self.cnf = manifests.config_starting("mariadb")["unreel.cnf"]

    def command(self):
        (self.folder / "unreel.cnf").write_text(self.cnf)
        program, _, *words = super().command()
        ours = ("--innodb-flush-log", "--max-connections", "--character-set", "--collation", "--skip-log-bin",
                "--skip-name-resolve")
        return [program, "--defaults-file=unreel.cnf",
                *(word for word in words if not word.startswith(ours))]

    def make_users(self, manifests: Manifests):
        """Runs users.sh as the image's entrypoint does: sourced, with docker_process_sql."""
        secrets = self.folder / "secrets"
        secrets.mkdir()
        for key, value in manifests.secret(_hashed(manifests, "mariadb")).items():
            (secrets / key).write_bytes(value)
        script = manifests.config_starting("mariadb")["users.sh"].replace("/run/secrets/mariadb", str(secrets))
        client = f"mariadb --no-defaults --host=127.0.0.1 --port={self.port} --user=root --protocol=tcp"
        command("bash", "-ec", f"docker_process_sql() {{ MYSQL_PWD={self.password} {client}; }}\n{script}")


def _configure(node, manifests: Manifests):
    """The node reads rabbitmq.conf and the user's secret of the manifests beside its own lines."""
    own_prepare = node.prepare
    password = manifests.secret(_hashed(manifests, "rabbitmq"))["user.conf"].decode()

    def prepare():
        own_prepare()
        conf = node.folder / "rabbitmq.conf"
        lines = conf.read_text().splitlines()
        known = {line.split(" = ")[0] for line in lines}
        beyond = manifests.config_starting("rabbitmq")["10-unreel.conf"] + password
        lines += [line for line in beyond.splitlines()
                  if " = " in line and not line.startswith("#") and line.split(" = ")[0] not in known]
        conf.write_text("\n".join(lines) + "\n")

    node.prepare = prepare
    node.USER = "unreel:" + password.split("default_pass = ")[1].strip()


class Pod:
    """One container of a role or a job."""

    def __init__(self, manifests: Manifests, name: str, folder: Path, here, image: str, ports: dict[int, int],
                 overrides: dict[str, str]):
        pod = manifests.pods[name]
        self.spec, self.container = pod["spec"], pod["spec"]["containers"][0]
        self.role, self.ports = name, ports
        self.name = f"unreel-pod-{name}-{uuid.uuid4().hex[:8]}"
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.image = image
        self.environment = manifests.environment(self.container) | overrides
        self.files = {path: here(text) for path, text in manifests.mounted(pod, self.container).items()}

    def _volumes(self) -> list[str]:
        words, group = [], self.spec["securityContext"]["fsGroup"]
        kinds = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            source = self.folder / mount["name"]
            volume = kinds[mount["name"]]
            if "emptyDir" in volume:
                source.mkdir()
                os.chown(source, 0, group)
                source.chmod(0o2777)
            else:
                self._write_as_kubelet(source, mount["mountPath"], volume["secret"]["defaultMode"], group)
            words += ["--volume", f"{source}:{mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"]
        return words

    def _write_as_kubelet(self, target: Path, path: str, mode: int, group: int):
        """Files that belong to root and the pod's group, behind two symbolic links."""
        real = target / "..2026_01_01"
        real.mkdir(parents=True)
        (target / "..data").symlink_to(real.name)
        for file, text in self.files.items():
            if Path(file).parent == Path(path):
                written = real / Path(file).name
                written.write_text(text)
                os.chown(written, 0, group)
                written.chmod(mode)
                (target / Path(file).name).symlink_to(f"..data/{Path(file).name}")

    def _words(self) -> list[str]:
        context, limits = self.spec["securityContext"], self.container["resources"]["limits"]
        words = ["--name", self.name, "--network", "host", "--pull=never", "--no-healthcheck",
                 "--user", f"{context['runAsUser']}:{context['runAsGroup']}",
                 "--group-add", str(context["fsGroup"]),
                 "--security-opt", "no-new-privileges", "--read-only", "--read-only-tmpfs=false",
                 "--memory", str(int(number(limits["memory"]))), "--cpus", str(number(limits["cpu"]))]
        for each in self.container["securityContext"]["capabilities"]["drop"]:
            words += ["--cap-drop", each]
        for name, value in self.environment.items():
            words += ["--env", f"{name}={value}"]
        return [*words, *self._volumes(), self.image, *self.container["args"]]

    def run(self):
        """For a job: returns when it is done, with what it said."""
        return command("podman", "run", "--rm", *self._words(), check=False, timeout=120)

    def start(self) -> "Pod":
        podman("run", "--detach", *self._words())
        return self

    def pid(self) -> int:
        return int(podman("container", "inspect", "--format", "{{.State.Pid}}", self.name))

    def status(self) -> dict[str, str]:
        """Of /proc: what the kernel says about its rights."""
        lines = Path(f"/proc/{self.pid()}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def probe(self, which: str) -> tuple[int, str]:
        """What kubelet would get: startupProbe, livenessProbe, readinessProbe. 0 while nobody answers."""
        asked = self.container[which]["httpGet"]
        port = next(each["containerPort"] for each in self.container["ports"] if each["name"] == asked["port"])
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{asked['path']}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def log(self) -> str:
        done = command("podman", "logs", self.name, check=False)
        return done.stdout + done.stderr

    def stop(self) -> int:
        """SIGTERM and the grace period that the manifest gives; the exit status."""
        podman("stop", "--time", self.spec["terminationGracePeriodSeconds"], self.name,
               timeout=self.spec["terminationGracePeriodSeconds"] + 60)
        return int(podman("container", "inspect", "--format", "{{.State.ExitCode}}", self.name))

    def remove(self):
        command("podman", "rm", "--force", "--time", "0", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
