"""Starts the real `unreel serve` in a folder of its own and talks to it as a user would."""
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
from dataclasses import dataclass, field
from pathlib import Path

BUILD = Path(os.environ.get("UNREEL_BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
UNREEL = BUILD / "unreel"
PASSWORD = "correct horse battery"


def is_sanitized() -> bool:
    return b"__asan_init" in UNREEL.read_bytes()


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nothing listens on."""
    for _ in range(100):
        first = random.randrange(20000, 32000 - count)
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("no free ports")


def clean_environment() -> dict:
    """This process's environment without any setting of Unreel."""
    return {k: v for k, v in os.environ.items() if not k.startswith("UNREEL_")}


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


@dataclass
class Service:
    data: Path
    settings: dict = field(default_factory=dict)
    converters: int = 2
    process: subprocess.Popen | None = None

    def __post_init__(self):
        self.port = free_ports(1)
        self.admin_port = free_ports(3 + self.converters)
        self.log_path = self.data.parent / (self.data.name + ".log")
        self.url = f"http://127.0.0.1:{self.port}"

    # ---- life --------------------------------------------------------------------------------------

    def start(self, timeout_s: float = 60) -> "Service":
        environment = clean_environment() | {
            "UNREEL_DATA": str(self.data), "UNREEL_LISTEN": f"127.0.0.1:{self.port}",
            "UNREEL_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "UNREEL_CONVERTERS": str(self.converters), **self.settings}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([UNREEL, "serve"], env=environment, stderr=log,
                                            stdout=subprocess.PIPE, start_new_session=True)
        wait_until(self.is_ready, timeout_s, what="the service to be ready\n" + self.log()[-3000:])
        return self

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "unreel serve ended:\n" + self.log()[-3000:]
        try:
            return all(self.admin(index, "/readyz").status == 200
                       for index in range(3 + self.converters))
        except OSError:
            return False

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM; returns the exit status."""
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
        """Pids of the roles, or of one role."""
        found = []
        for pid in children_of(self.process.pid):
            words = command_line(pid)
            if len(words) > 1 and (role is None or words[1] == role):
                found.append(pid)
        return found

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
        return self.request("GET", path, port=self.admin_port + index, timeout_s=10)

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
               fields: dict | None = None, headers: dict | None = None) -> Answer:
        if isinstance(content, Path):
            content = content.read_bytes()
        body, content_type = multipart(fields or {}, filename, content)
        return self.request("POST", "/api/v1/conversions", body,
                            {"Content-Type": content_type, **(headers or {})}, token)

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

    def mails(self, identifier: str) -> list[str]:
        """Texts of the mails in the outbox that name the id."""
        texts = []
        for path in sorted((self.data / "outbox").glob("*.eml")):
            text = path.read_text()
            if identifier in text:
                texts.append(text)
        return texts


def basic(email: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return found


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
