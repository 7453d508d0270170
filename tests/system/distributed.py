"""The service as a cluster runs it: each role a process of its own, over real servers.

    def test_something(new_service, own_server):          # runs in both modes
        service = new_service().start()

    @pytest.mark.distributed                              # runs in this mode alone
    def test_something_else(new_service, own_server):
        broker = own_server(RabbitMQ)                     # one that no other test uses
        service = new_service(own=[broker], gateways=2, converters=1).start()
        broker.kill()
        ...
        broker.restart()

Roles share nothing but the servers, the key that signs tokens, and HTTP from a gateway to its auth;
each has a data directory of its own. A process that ends is started again at once, as a cluster
would, and its end is a line in the log; `not_restarted()` holds that back. Each service has its own
database, virtual host and MongoDB database, made at its first start and dropped by `close`. Servers
are those of the run (never hurt them: others use them too) except those given as `own`, objects of
scripts/servers.py: `RabbitMQ`, `RabbitMQCluster`, `MariaDB`, `MongoDB`, `SmtpSink`.

`service.jobs.rows(sql, …)`, `service.blobs`, `service.mails(id)` look behind its back in both modes;
oracle.check_all says whether everything is as it must be at the end.
"""
import json
import signal
import subprocess
import threading
import urllib.request
import uuid
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import servers

from service import UNREEL, Service, clean_environment, free_ports, wait_until
from stores import MysqlTables, pymongo

# What each role is told besides its own addresses: not more than it needs.
NEEDS = {"gateway": ("jobs", "blobs", "queue"), "auth": ("accounts", "jobs"),
         "converter": ("jobs", "blobs", "queue"), "notifier": ("jobs", "queue", "mail")}


class Places:
    """A database, a virtual host and a MongoDB database for one service; their URLs."""

    def __init__(self, variables: dict):
        self.variables = variables
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        database = f"{variables['UNREEL_TEST_MYSQL']}/{self.name}"
        self.urls = {"accounts": database, "jobs": database,
                     "blobs": variables["UNREEL_TEST_MONGODB"].replace("/?", f"/{self.name}?"),
                     "queue": f"{variables['UNREEL_TEST_RABBITMQ']}/{self.name}",
                     "mail": variables["UNREEL_TEST_SMTP"]}

    def make(self):
        root = MysqlTables(self.variables["UNREEL_TEST_MYSQL"])
        root.rows(f"CREATE DATABASE `{self.name}` CHARACTER SET utf8mb4")
        self.manage("PUT", f"/api/vhosts/{self.name}")

    def drop(self):
        """As far as the servers are still there."""
        root = MysqlTables(self.variables["UNREEL_TEST_MYSQL"])
        for drop in (lambda: root.rows(f"DROP DATABASE `{self.name}`"),
                     lambda: self.manage("DELETE", f"/api/vhosts/{self.name}"),
                     lambda: pymongo.MongoClient(self.urls["blobs"], serverSelectionTimeoutMS=2000)
                     .drop_database(self.name)):
            try:
                drop()
            except Exception:  # a server of the test's own may have been stopped for good
                pass

    def manage(self, method: str, path: str) -> bytes:
        """One call of RabbitMQ's management interface, as guest, who then has all rights."""
        url = urlsplit(self.variables["UNREEL_TEST_RABBITMQ_MANAGEMENT"])
        token = b64encode(f"{url.username}:{url.password}".encode()).decode()
        request = urllib.request.Request(f"http://{url.hostname}:{url.port}{path}", method=method,
                                         data=b"{}" if method == "PUT" else None,
                                         headers={"Authorization": f"Basic {token}",
                                                  "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()


class Role:
    """One process and how it is started again."""

    def __init__(self, role: str, name: str, environment: dict, log_path: Path):
        self.role, self.name, self.environment, self.log_path = role, name, environment, log_path
        self.process: subprocess.Popen | None = None
        self.deaths = 0

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = servers.spawn([str(UNREEL), self.role], env=self.environment, stderr=log)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Distributed(Service):
    def __init__(self, data: Path, variables: dict, settings: dict | None = None, gateways: int = 1,
                 auths: int = 1, converters: int = 2, notifiers: int = 1):
        super().__init__(data, settings)
        self.places = Places(variables)
        self.urls = self.places.urls
        self.sink_folder = variables["UNREEL_TEST_SMTP_FOLDER"]
        self.is_made = False
        self.is_held = False
        self.lock = threading.RLock()
        self.keeper: threading.Thread | None = None
        self.ended = threading.Event()
        self.roles: list[Role] = []
        self.admin_ports = []
        self.ports += [free_ports(1) for _ in range(gateways - 1)]
        self.auth_ports = [free_ports(1) for _ in range(auths)]
        for role, number in [("gateway", 1), ("auth", 1), ("notifier", 1),
                             *(("converter", n + 1) for n in range(converters)),
                             *(("gateway", n + 1) for n in range(1, gateways)),
                             *(("auth", n + 1) for n in range(1, auths)),
                             *(("notifier", n + 1) for n in range(1, notifiers))]:
            self.add(role, number)

    def add(self, role: str, number: int) -> Role:
        """One more process; `start` starts it, or its own `start`."""
        name = f"{role}-{number}"
        self.admin_ports.append(free_ports(1))
        settings = {"UNREEL_DATA": str(self.data / name),
                    "UNREEL_ADMIN_LISTEN": f"127.0.0.1:{self.admin_ports[-1]}"}
        settings |= {f"UNREEL_{need.upper()}": self.urls[need] for need in NEEDS[role]}
        if role == "gateway":
            auth_port = self.auth_ports[(number - 1) % len(self.auth_ports)]
            settings |= {"UNREEL_LISTEN": f"127.0.0.1:{self.ports[number - 1]}",
                         "UNREEL_AUTH_URL": f"http://127.0.0.1:{auth_port}"}
        if role == "auth":
            settings |= {"UNREEL_AUTH_LISTEN": f"127.0.0.1:{self.auth_ports[number - 1]}",
                         "UNREEL_SIGNING_KEY": str(self.data / "keys" / "signing.key")}
        if role in ("gateway", "notifier"):
            settings["UNREEL_PUBLIC_URL"] = self.url
        self.roles.append(Role(role, name, clean_environment() | settings | self.settings,
                               self.log_path))
        return self.roles[-1]

    def add_converter(self) -> int:
        """Starts one more; its pid."""
        number = 1 + sum(role.role == "converter" for role in self.roles)
        with self.lock:
            added = self.add("converter", number)
            (self.data / added.name).mkdir(parents=True)
            added.start()
        return added.process.pid

    # ---- life --------------------------------------------------------------------------------------

    def run(self, *words: str) -> str:
        """A command of the operator, told all settings."""
        environment = clean_environment() | {"UNREEL_DATA": str(self.data / "operator")} | {
            f"UNREEL_{name.upper()}": url for name, url in self.urls.items()} | self.settings
        result = subprocess.run([UNREEL, *words], env=environment, capture_output=True, text=True,
                                timeout=300)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def make(self):
        self.places.make()
        for role in self.roles:
            (self.data / role.name).mkdir(parents=True)
        (self.data / "keys").mkdir()
        self.run("make-key", str(self.data / "keys" / "signing.key"))
        self.run("migrate")
        self.is_made = True

    def start(self, timeout_s: float = 120) -> "Distributed":
        if not self.is_made:
            self.make()
        for role in self.roles:
            role.start()
        self.ended.clear()
        self.keeper = threading.Thread(target=self.keep)
        self.keeper.start()
        return self.wait_until_ready(timeout_s)

    def keep(self):
        """Starts again what has died, until `end`."""
        while not self.ended.wait(0.1):
            with self.lock:
                for role in self.roles:
                    if not self.is_held and not role.is_running():
                        role.deaths += 1
                        with open(self.log_path, "a") as log:
                            log.write(f'keeper: {role.name} pid={role.process.pid} ended with status '
                                      f'{role.process.returncode}; started again\n')
                        role.start()

    def end(self, number: int, timeout_s: float) -> list[int]:
        """That signal to all roles; their exit statuses."""
        if self.keeper is None:
            return []
        self.ended.set()
        self.keeper.join()
        self.keeper = None
        for role in self.roles:
            if role.is_running():
                role.process.send_signal(number)
        return [role.process.wait(timeout_s) for role in self.roles]

    def stop(self, timeout_s: float = 60) -> int:
        return next((status for status in self.end(signal.SIGTERM, timeout_s) if status != 0), 0)

    def kill(self):
        self.end(signal.SIGKILL, 60)

    def close(self):
        try:
            self.stop()
        finally:
            if self.is_made:
                self.places.drop()

    def is_running(self) -> bool:
        return self.keeper is not None

    def processes(self) -> list[int]:
        return self.children()

    def children(self, role: str | None = None) -> list[int]:
        with self.lock:
            return [each.process.pid for each in self.roles
                    if each.is_running() and role in (None, each.role)]

    def waiting_hints(self) -> dict[str, int]:
        queues = json.loads(self.places.manage("GET", f"/api/queues/{self.places.name}"))
        return {queue["name"]: queue.get("messages", -1) for queue in queues}

    @contextmanager
    def not_restarted(self):
        with self.lock:
            self.is_held = True
        try:
            yield
        finally:
            with self.lock:
                self.is_held = False
