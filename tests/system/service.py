"""A running service in a folder of its own, talked to as a user would.

`Service` is what tests see; two modes provide it: `Embedded` (here: `unreel serve`) and
`Distributed` (distributed.py: each role a process of its own over real servers).
"""
import base64
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stores import blobs_of, mails_of, tables_of

BUILD = Path(os.environ.get("UNREEL_BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
UNREEL = BUILD / "unreel"
PASSWORD = "correct horse battery"


def is_sanitized() -> bool:
    return b"__asan_init" in UNREEL.read_bytes()


given_ports = set()


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nothing listens on, and that were not given before."""
    for _ in range(100):
        first = random.randrange(20000, 32000 - count)
        if not given_ports.isdisjoint(range(first, first + count)):
            continue
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            given_ports.update(range(first, first + count))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("no free ports")


def clean_environment() -> dict:
    """This process's environment without any setting of Unreel.

    Without its counters in shared memory, which are called by the process's number, libmongoc does
    not complain, on standard error and before main, of those that a killed process left.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UNREEL_")}
    return kept | {"MONGOC_DISABLE_SHM": "1"}


def wait_until(condition, timeout_s: float = 30, every_s: float = 0.05, what: str = "it"):
    """The first true value of the condition."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(every_s)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The stable code of a problem."""
        return self.json["code"]


def multipart(fields: dict, filename: str, content: bytes, name: str = "file") -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
             for k, v in fields.items()]
    head = (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            'Content-Type: video/mp4\r\n\r\n').encode()
    return b"".join(parts) + head + content + f"\r\n--{boundary}--\r\n".encode(), \
        f"multipart/form-data; boundary={boundary}"


class Service:
    """What both modes share."""

    def __init__(self, data: Path, settings: dict | None = None):
        self.data = data
        self.settings = settings or {}
        self.port = free_ports(1)
        self.ports = [self.port]  # of every gateway
        self.log_path = self.data.parent / (self.data.name + ".log")
        self.url = f"http://127.0.0.1:{self.port}"

    # ---- life: what a mode provides ----------------------------------------------------------------

    # A URL a port, by the setting's name.
    urls: dict
    # Operators' ports: gateway, auth, notifier, then the converters, then any further roles.
    admin_ports: list[int]
    # The folder of the mail sink, where one is used.
    sink_folder = ""

    def start(self, timeout_s: float = 60) -> "Service":
        """Returns when all roles are ready."""
        raise NotImplementedError

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM; 0 when everything ended well."""
        raise NotImplementedError

    def kill(self):
        """SIGKILL of everything at once, as when the power fails."""
        raise NotImplementedError

    def children(self, role: str | None = None) -> list[int]:
        """Pids of the roles, or of one role."""
        raise NotImplementedError

    def processes(self) -> list[int]:
        """Pids of which all others descend."""
        raise NotImplementedError

    def not_restarted(self):
        """Within it a role that dies stays dead; afterwards it comes back."""
        raise NotImplementedError

    def is_running(self) -> bool:
        raise NotImplementedError

    def close(self):
        """Stops it and leaves nothing on the servers."""
        self.stop()

    # ---- both modes --------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        assert self.is_running(), "the service ended:\n" + self.log()[-3000:]
        try:
            return all(self.admin(index, "/readyz").status == 200
                       for index in range(len(self.admin_ports)))
        except OSError:
            return False

    def wait_until_ready(self, timeout_s: float = 60) -> "Service":
        try:
            wait_until(self.is_ready, timeout_s, what="the service to be ready")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-3000:]}") from None
        return self

    @property
    def jobs(self):
        """Rows of conversions, events, links and letters."""
        return tables_of(self.urls["jobs"])

    @property
    def accounts(self):
        return tables_of(self.urls["accounts"])

    @cached_property
    def blobs(self):
        return blobs_of(self.urls["blobs"])

    def waiting_hints(self) -> dict[str, int]:
        """How many hints nobody has settled, by topic, where the queue can tell."""
        return {}

    def scratch_files(self) -> list[Path]:
        return [path for path in self.data.rglob("scratch/*")]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # ---- HTTP --------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body=None, headers=None, token: str | None = None,
                port: int | None = None, timeout_s: float = 60) -> Answer:
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def admin(self, index: int, path: str) -> Answer:
        """0 gateway, 1 auth, 2 notifier, 3 and on: converters."""
        return self.request("GET", path, port=self.admin_ports[index], timeout_s=10)

    # ---- as a user ---------------------------------------------------------------------------------

    def register(self, email: str, password: str = PASSWORD) -> Answer:
        return self.request("POST", "/api/v1/accounts", {"email": email, "password": password})

    def login(self, email: str, password: str = PASSWORD) -> str:
        answer = self.request("POST", "/api/v1/sessions", {"email": email, "password": password})
        assert answer.status == 200, answer.body
        return answer.json["access_token"]

    def user(self, email: str) -> str:
        """Registers and logs in; the access token."""
        answer = self.register(email)
        assert answer.status in (201, 409), answer.body
        return self.login(email)

    def upload(self, token: str, content: bytes | Path, filename: str = "video.mp4",
               fields: dict | None = None, headers: dict | None = None,
               port: int | None = None) -> Answer:
        if isinstance(content, Path):
            content = content.read_bytes()
        body, content_type = multipart(fields or {}, filename, content)
        return self.request("POST", "/api/v1/conversions", body,
                            {"Content-Type": content_type, **(headers or {})}, token, port)

    def conversion(self, token: str, identifier: str) -> dict:
        answer = self.request("GET", f"/api/v1/conversions/{identifier}", token=token)
        assert answer.status == 200, answer.body
        return answer.json

    def wait_for(self, token: str, identifier: str, state: str, timeout_s: float = 60,
                 every_s: float = 0.1) -> dict:
        """The conversion once it is in that state; any other end is an error."""
        def look():
            conversion = self.conversion(token, identifier)
            if conversion["state"] == state:
                return conversion
            assert conversion["state"] not in ("ready", "failed"), conversion
            return None
        return wait_until(look, timeout_s, every_s, f"{identifier} to be {state}")

    @cached_property
    def mailbox(self):
        return mails_of(self.urls["mail"], self.sink_folder)

    def mails(self, identifier: str) -> list[str]:
        """Texts of the mails that name the id."""
        return [text for text in self.mailbox.texts() if identifier in text]

    def mail_copies(self, identifiers: list[str]) -> int:
        """How many mails about them were handed over, as far as the mail store can tell copies."""
        return sum(any(each in text for each in identifiers) for text in self.mailbox.copies())


class Embedded(Service):
    """`unreel serve`: one process that keeps all roles, over SQLite, files and datagrams."""

    def __init__(self, data: Path, settings: dict | None = None, converters: int = 2):
        super().__init__(data, settings)
        self.converters = converters
        first = free_ports(3 + converters)
        self.admin_ports = list(range(first, first + 3 + converters))
        self.process: subprocess.Popen | None = None

    @property
    def urls(self) -> dict:
        return {"accounts": f"sqlite:{self.data}/accounts.db", "jobs": f"sqlite:{self.data}/jobs.db",
                "blobs": f"file:{self.data}/blobs", "mail": f"outbox:{self.data}/outbox"}

    def start(self, timeout_s: float = 60) -> "Embedded":
        environment = clean_environment() | {
            "UNREEL_DATA": str(self.data), "UNREEL_LISTEN": f"127.0.0.1:{self.port}",
            "UNREEL_ADMIN_LISTEN": f"127.0.0.1:{self.admin_ports[0]}",
            "UNREEL_CONVERTERS": str(self.converters), **self.settings}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([UNREEL, "serve"], env=environment, stderr=log,
                                            stdout=subprocess.PIPE, start_new_session=True)
        return self.wait_until_ready(timeout_s)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def stop(self, timeout_s: float = 60) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(timeout_s)
        self.process.stdout.close()
        self.process = None
        return status

    def kill(self):
        """SIGKILL of the supervisor; its children die with it."""
        pids = self.children()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process = None
        for pid in pids:
            wait_until(lambda p=pid: not Path(f"/proc/{p}").exists() or is_zombie(p), 10,
                       what=f"child {pid} to end with its parent")

    def children(self, role: str | None = None) -> list[int]:
        found = []
        for pid in children_of(self.process.pid):
            words = command_line(pid)
            if len(words) > 1 and (role is None or words[1] == role):
                found.append(pid)
        return found

    def processes(self) -> list[int]:
        return [self.process.pid]

    @contextmanager
    def not_restarted(self):
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def basic(email: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return found


def media_children_of(converter: int) -> list[int]:
    """The children that its nursery has forked: a conversion each."""
    return [child for nursery in children_of(converter) for child in children_of(nursery)]


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False


def memory_kib(pid: int, field_name: str) -> int:
    """VmRSS: what the process has now; VmHWM: the most it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1])
    return 0


def peak_memory_kib(pid: int) -> int:
    return memory_kib(pid, "VmHWM")
