"""What the tests of the gateway need beyond the fixture: raw requests, forged tokens, the tables."""
import base64
import json
import os
import re
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

from service import Answer, Service

# RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8.
ED25519_PREFIX = bytes.fromhex("302e020100300506032b657004220420")


def send_form(service: Service, token: str | None, body: bytes, content_type: str,
              headers: dict | None = None, path: str = "/api/v1/conversions") -> Answer:
    return service.request("POST", path, body, {"Content-Type": content_type, **(headers or {})},
                           token)


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, str]:
    """Parts of (name, file name or None, content), in that order."""
    body = b""
    for name, filename, content in parts:
        head = f'--frontier\r\nContent-Disposition: form-data; name="{name}"'
        if filename is not None:
            head += f'; filename="{filename}"'
        body += head.encode() + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--frontier--\r\n", "multipart/form-data; boundary=frontier"


def announce(service: Service, token: str, length: int, extra: str = "") -> bytes:
    """Sends the headers of an upload of that length and no body; the start of the answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(
            (f"POST /api/v1/conversions HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
             f"Authorization: Bearer {token}\r\nContent-Length: {length}\r\n{extra}"
             "Content-Type: multipart/form-data; boundary=frontier\r\n"
             "Expect: 100-continue\r\n\r\n").encode())
        return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    """Up to the end of the headers and what came with them."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(65536)
        if not piece:
            break
        answer += piece
    length = re.search(rb"(?i)content-length: (\d+)", answer)
    missing = int(length[1]) - len(answer.split(b"\r\n\r\n", 1)[1]) if length else 0
    while missing > 0 and (piece := connection.recv(65536)):
        answer += piece
        missing -= len(piece)
    return answer


def begin_upload(service: Service, token: str, sent: bytes, length: int,
                 extra: str = "") -> socket.socket:
    """An upload that has sent only the beginning of its body."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    connection.sendall(
        (f"POST /api/v1/conversions HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
         f"Authorization: Bearer {token}\r\nContent-Length: {length}\r\n{extra}"
         "Content-Type: multipart/form-data; boundary=frontier\r\n\r\n").encode() + sent)
    return connection


def encode(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def claims_of(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def resign(service: Service, token: str, folder: Path, header: dict | None = None,
           seed: bytes | None = None, **changes) -> str:
    """The same token with other claims or headers, signed with the service's own key or another."""
    head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    signed = encode(head | (header or {})) + "." + encode(claims_of(token) | changes)
    if seed is None:
        seed = bytes.fromhex((service.data / "keys/signing.key").read_text().strip())
    key, message, signature = folder / "key", folder / "message", folder / "signature"
    key.write_bytes(ED25519_PREFIX + seed)
    message.write_text(signed)
    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-keyform", "DER",
                    "-in", message, "-out", signature], check=True)
    return signed + "." + base64.urlsafe_b64encode(signature.read_bytes()).rstrip(b"=").decode()


def jobs_query(service: Service, statement: str, *values) -> list[tuple]:
    """Reads or changes the jobs database behind the service's back."""
    return service.jobs.rows(statement, *values)


def state_of(service: Service, identifier: str) -> str:
    return jobs_query(service, "SELECT state FROM conversion WHERE id=?", identifier)[0][0]


def blob_names(service: Service) -> set[str]:
    """Everything in the store that holds bytes, finished or not."""
    return service.blobs.names()


def has_blob(service: Service, identifier: str) -> bool:
    return any(identifier in name for name in blob_names(service))


@contextmanager
def stopped(pids: list[int]):
    """Those processes stand still meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def metric(service: Service, series: str) -> float:
    for line in service.admin(0, "/metrics").body.decode().splitlines():
        if line.startswith(series + " "):
            return float(line.split()[-1])
    return 0.0
