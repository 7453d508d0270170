"""Runs build/tests/support/http-probe, the HTTP server alone with routes for tests."""
import json
import socket
import subprocess
import time
import http.client
from pathlib import Path

from service import BUILD

PROGRAM = BUILD / "tests" / "support" / "http-probe"


class Probe:
    def __init__(self, listen: str = "127.0.0.1:0", **settings):
        arguments = [f"{name}={value}" for name, value in settings.items()]
        self.process = subprocess.Popen([PROGRAM, listen, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        assert line, self.process.stderr.read()
        self.port, self.admin_port = int(line[1]), int(line[3])
        self.unix_path = listen[5:] if listen.startswith("unix:") else None

    def connect(self, timeout_s: float = 10) -> socket.socket:
        if self.unix_path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout_s)
            connection.connect(self.unix_path)
            return connection
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def client(self, timeout_s: float = 20) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        if self.unix_path:
            client.sock = self.connect(timeout_s)
        return client

    def ask(self, method: str, target: str, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        client = self.client()
        headers = headers or {}
        client.request(method, target, body=body, headers=headers,
                       encode_chunked="Transfer-Encoding" in headers)
        answer = client.getresponse()
        result = answer.status, answer.headers, answer.read()
        client.close()
        return result

    def admin(self, target: str):
        client = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        client.request("GET", target)
        answer = client.getresponse()
        return answer.status, answer.read().decode()

    def counts(self) -> dict:
        return json.loads(self.ask("GET", "/counts")[2])

    def settled(self, **expected) -> dict:
        """The counts, once they are as expected."""
        for _ in range(200):
            counts = self.counts()
            if all(counts[name] == value for name, value in expected.items()):
                return counts
            time.sleep(0.05)
        raise AssertionError(f"{counts} instead of {expected}")

    def stop(self) -> str:
        """SIGTERM; what it printed at its end. Fails if it did not end well."""
        if self.process.poll() is None:
            self.process.terminate()
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err[-3000:]
        assert "ERROR" not in err and "runtime error" not in err, err[-3000:]
        return out


def read_all(connection: socket.socket) -> bytes:
    """All until the server closes."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def read_answer(connection: socket.socket) -> tuple[int, dict, bytes]:
    """One answer of a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1)
        if not piece:
            raise EOFError(data)
        data += piece
    lines = data.decode("latin1").split("\r\n")
    headers = {n.lower(): v.strip() for n, v in (l.split(":", 1) for l in lines[1:] if l)}
    body = b""
    left = int(headers.get("content-length", 0))
    while left > len(body):
        body += connection.recv(left - len(body))
    return int(lines[0].split()[1]), headers, body
