"""Bodies that come in odd ways, and what the server does meanwhile."""
import json
import random
import socket
import subprocess
import threading
import time

import pytest

from http_probe import Probe, read_all, read_answer

UPLOAD = b"PUT /upload%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT /upload%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def probe():
    running = Probe()
    yield running
    running.stop()


def curl(probe: Probe, target: str, size: int) -> dict:
    """Uploads zeroes from a pipe, which curl sends chunked."""
    source = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
    done = subprocess.run(["curl", "-sS", "-T", "-", f"http://127.0.0.1:{probe.port}{target}"],
                          stdin=source.stdout, capture_output=True, timeout=120)
    source.wait()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_chunked_uploads_survive_every_suspension(probe):
    for _ in range(3):
        assert curl(probe, "/upload", 64 << 20)["size"] == 64 << 20
    threads = [threading.Thread(target=curl, args=(probe, "/upload?body_ms=1", 16 << 20))
               for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    probe.settled(begins=7, ends=7, finishes=7)


def test_a_chunked_body_may_drip(probe):
    connection = probe.connect()
    connection.sendall(CHUNKED % b"?hash&body_ms=5")
    generator = random.Random(2)
    data = generator.randbytes(600_000)
    wire = b""
    at = 0
    while at < len(data):
        size = generator.choice((1, 2, 17, 1000, 5000, 40000))
        part = data[at:at + size]
        at += size
        wire += b"%x\r\n%s\r\n" % (len(part), part)
    wire += b"0\r\n\r\n"
    for at in range(0, len(wire), 9001):  # cuts chunk heads and ends anywhere
        connection.sendall(wire[at:at + 9001])
        time.sleep(0.002)
    status, _, body = read_answer(connection)
    assert status == 201 and json.loads(body)["size"] == len(data)
    connection.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_answer(connection)[0] == 200


def test_single_bytes_make_a_body_too(probe):
    connection = probe.connect()
    for byte in UPLOAD % (b"", 20) + b"x" * 20:
        connection.sendall(bytes([byte]))
    assert json.loads(read_answer(connection)[2])["size"] == 20


def test_a_body_shorter_than_announced_ends_without_end(probe):
    connection = probe.connect()
    connection.sendall(UPLOAD % (b"", 1000) + b"x" * 999)
    connection.shutdown(socket.SHUT_WR)
    assert read_all(connection) == b""
    assert probe.settled(begins=1, finishes=1)["ends"] == 0


def test_what_follows_a_body_is_the_next_request(probe):
    connection = probe.connect()
    connection.sendall(UPLOAD % (b"", 3) + b"abcGET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
    assert json.loads(read_answer(connection)[2])["size"] == 3
    assert read_answer(connection)[2] == b"hello\n"


def test_a_refusal_in_begin_comes_before_100_continue(probe):
    head = b"PUT /upload%s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    connection = probe.connect()
    connection.sendall(head % b"?refuse=1")
    data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 401 ") and b"100 Continue" not in data
    assert b"WWW-Authenticate" in data
    connection = probe.connect()
    connection.sendall(head % b"?begin_ms=50")
    assert read_answer(connection)[0] == 100
    connection.sendall(b"abc")
    assert read_answer(connection)[0] == 201


@pytest.mark.parametrize("target,status", [(b"?refuse=1", 401), (b"?limit=300000", 507)])
def test_an_early_refusal_reaches_who_goes_on_sending(probe, target, status):
    connection = probe.connect()
    connection.sendall(UPLOAD % (target, 1 << 30))
    try:
        for _ in range(200):
            connection.sendall(b"x" * 65536)
    except (BrokenPipeError, ConnectionResetError):
        pass
    data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 %d " % status) and b"Connection: close" in data
    assert data.count(b"HTTP/1.1") == 1
    probe.settled(begins=1, finishes=1)


@pytest.mark.parametrize("step", ["begin_ms", "body_ms", "end_ms"])
def test_a_client_that_leaves_during_a_step_is_finished_once(probe, step):
    for _ in range(10):
        connection = probe.connect()
        connection.sendall(UPLOAD % (f"?{step}=100".encode(), 300_000) + b"x" * 300_000)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    probe.settled(begins=10, finishes=10)
    time.sleep(0.3)
    assert probe.counts()["finishes"] == 10


def test_a_client_that_leaves_while_parked_is_finished_once(probe):
    connection = probe.connect()
    connection.sendall(b"GET /count-down?times=3&ms=100 HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.05)
    connection.close()
    assert probe.settled(finishes=1)["ends"] == 3


def test_other_requests_are_served_during_uploads(probe):
    stop = threading.Event()

    def upload():
        while not stop.is_set():
            probe.ask("PUT", "/upload", body=b"x" * (4 << 20))

    threads = [threading.Thread(target=upload) for _ in range(3)]
    for each in threads:
        each.start()
    for _ in range(100):
        assert probe.ask("GET", "/hello")[0] == 200
    stop.set()
    for each in threads:
        each.join()
