"""A RabbitMQ that tests may hurt, a handle on it from the product's own code, and a proxy between."""
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import pytest

from service import BUILD, clean_environment, wait_until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from servers import (HOST, RabbitMQ, RabbitMQCluster, RabbitMQNode,  # noqa: E402, F401
                     free_port)

IDS = "01M7ZEV89XSMQ1TKXC0G69R"


def needs_rabbitmq():
    if not Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists():
        pytest.skip("RabbitMQ is not installed: scripts/setup services")


def identifier(number: int) -> str:
    return f"{IDS}{number:03d}"


@dataclass
class Said:
    word: str
    ms: int
    text: str


class Probe:
    """One handle of a queue (tests/support/queue_probe.c)."""

    def __init__(self, url: str, topic: str | None = None):
        self.process = subprocess.Popen(
            [BUILD / "tests/support/queue-probe", url, *([topic] if topic else [])], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def hear(self, timeout_s: float = 60) -> Said:
        assert select.select([self.process.stdout], [], [], timeout_s)[0], "the probe hangs"
        word, ms, text = self.process.stdout.readline().rstrip("\n").split(" ", 2)
        return Said(word, int(ms), text)

    def ask(self, *words) -> Said:
        self.tell(*words)
        return self.hear()

    def publish(self, number: int, topic: str = "video") -> Said:
        return self.ask("publish", topic, identifier(number))

    def until(self, *words, word: str = "ok", timeout_s: float = 60) -> Said:
        """Asks again until that is the answer."""
        def look():
            said = self.ask(*words)
            return said if said.word == word else None
        return wait_until(look, timeout_s, what=f"{word} to {words}")

    def receives(self, number: int, timeout_s: float = 60):
        """Takes hints until this one has come; errors on the way are the queue's business."""
        def look():
            said = self.ask("receive", 500)
            if said.word == "hint":
                assert self.ask("ack").word == "ok"
            return said.text == identifier(number)
        wait_until(look, timeout_s, what=f"hint {number}")

    def end(self) -> int:
        self.process.stdin.close()
        status = self.process.wait(30)
        self.process.stdout.close()
        return status


class VirtualHost:
    """One of a test's own."""

    def __init__(self, node: RabbitMQNode, name: str):
        self.node, self.name = node, name
        node.make_vhost(name)

    @property
    def path(self) -> str:
        return urllib.parse.quote(self.name, safe="")

    def url(self, hosts: str | None = None, user: str = RabbitMQNode.USER) -> str:
        return f"amqp://{user}@{hosts or f'{HOST}:{self.node.port}'}/{self.path}"

    def manage(self, method: str, kind: str, rest: str = "", body=None):
        return self.node.manage(method, f"/api/{kind}/{self.path}{rest}", body)

    def queue(self, name: str) -> dict | None:
        return self.manage("GET", "queues", f"/{name}")

    def take(self, name: str) -> list[dict]:
        """All messages of a queue, which are gone then."""
        return self.manage("POST", "queues", f"/{name}/get", {
            "count": 1000, "ackmode": "ack_requeue_false", "encoding": "auto"}) or []

    def put(self, name: str, payload: str, properties: dict | None = None):
        assert self.manage("POST", "exchanges", "/amq.default/publish", {
            "properties": properties or {}, "routing_key": name, "payload": payload,
            "payload_encoding": "string"})["routed"]

    def close_connections(self):
        """As an operator would, once the broker's own statistics know of any."""
        known = wait_until(lambda: self.node.manage("GET", f"/api/vhosts/{self.path}/connections"),
                           what="a connection")
        for each in known:
            self.node.manage("DELETE", "/api/connections/" + urllib.parse.quote(each["name"]))


def control(node: RabbitMQNode, *words):
    subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *words], check=True, timeout=120,
                   capture_output=True, env=os.environ | node.environment())


class TlsNode(RabbitMQNode):
    """A broker that also speaks TLS, with a certificate for the name `localhost`."""

    def prepare(self):
        super().prepare()
        self.tls_port = getattr(self, "tls_port", None) or free_port()
        self.authority, self.stranger = self.folder / "ca.pem", self.folder / "stranger.pem"
        if not self.authority.exists():
            make_certificates(self.folder)
        with open(self.folder / "rabbitmq.conf", "a", encoding="ascii") as file:
            file.write(f"listeners.ssl.1 = {HOST}:{self.tls_port}\n"
                       f"ssl_options.certfile = {self.folder}/server.pem\n"
                       f"ssl_options.keyfile = {self.folder}/server.key\n")


def make_certificates(folder: Path):
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-subj", f"/CN={name}")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "3650", "-extfile", "names", "-out", "server.pem")


class TlsRabbitMQ(RabbitMQ):
    def __init__(self, folder: Path):
        super().__init__(folder)
        plain = self.node
        self.node = TlsNode(plain.folder, plain.mapper, plain.home, plain.nodename)
        self.nodes[0] = self.node


class SwallowingProxy:
    """Passes AMQP on, but not the broker's confirms while `swallows` is set. What the broker says comes
    `delay_s` later, each frame by itself, and is counted."""

    CONFIRM = struct.pack(">HH", 60, 80)  # basic.ack

    def __init__(self, port: int):
        self.broker_port = port
        self.swallows = False
        self.delay_s = 0
        self.frames = 0
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            broker = socket.create_connection((HOST, self.broker_port))
            for work in ((client, broker, False), (broker, client, True)):
                threading.Thread(target=self.pump, args=work, daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket, looks: bool):
        rest = b""
        try:
            while data := source.recv(65536):
                if not looks:
                    target.sendall(data)
                    continue
                rest += data
                while len(rest) >= 7 and len(rest) >= (size := 8 + struct.unpack(">I", rest[3:7])[0]):
                    frame, rest = rest[:size], rest[size:]
                    if not (self.swallows and frame[0] == 1 and frame[7:11] == self.CONFIRM):
                        time.sleep(self.delay_s)
                        target.sendall(frame)
                        self.frames += 1
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
