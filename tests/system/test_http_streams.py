"""Answers whose bytes come from a store without files, piece by piece."""
import http.client
import random
import socket
import threading

import pytest

from http_probe import Probe, read_all
from service import memory_kib, wait_until

PIECE = 64 << 10
SIZE = 3_000_000  # many pieces and a part


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(2).randbytes(SIZE)


@pytest.fixture
def make(tmp_path, content):
    """A function that starts a probe; each is stopped, and has freed all that it took."""
    path = tmp_path / "file"
    path.write_bytes(content)
    made = []

    def start(**settings) -> Probe:
        made.append(Probe(**{"file": path, **settings}))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def begin(probe: Probe, target: str):
    """A request whose answer nobody reads yet, and of which the kernel takes a part only."""
    connection = socket.socket()
    connection.settimeout(30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
    connection.connect(("127.0.0.1", probe.port))
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def test_streams_and_other_requests_share_a_connection(make, content):
    client = make().client()
    used = None
    for target in ("/stream", "/hello", "/stream?most=30000", "/stream"):
        client.request("GET", target)
        used = used or client.sock
        answer = client.getresponse()
        assert answer.status == 200 and client.sock is used
        assert answer.read() == (b"hello\n" if target == "/hello" else content)
    client.close()


def test_pieces_are_asked_for_one_by_one_and_none_for_head(make, content):
    probe = make()
    probe.ask("HEAD", "/stream")
    assert probe.settled(finishes=1)["fills"] == 0
    probe.ask("GET", "/stream", headers={"Range": "bytes=1000-1999"})
    assert probe.settled(finishes=2)["fills"] == 1
    assert probe.ask("GET", "/stream")[2] == content
    assert probe.settled(finishes=3)["fills"] == 1 + SIZE // PIECE + 1


@pytest.mark.parametrize("target", ["/stream", "/file"])
def test_a_range_means_nothing_to_head(make, target):
    """RFC 9110, 14.2: it is defined for GET alone."""
    for part in ("bytes=1000-1999", f"bytes={SIZE}-"):
        status, headers, _ = make().ask("HEAD", target, headers={"Range": part})
        assert (status, headers["Content-Length"]) == (200, str(SIZE))
        assert headers["Content-Range"] is None and headers["Accept-Ranges"] == "bytes"


def test_an_empty_file_is_an_empty_answer(make, tmp_path):
    (tmp_path / "empty").touch()
    status, headers, body = make(file=tmp_path / "empty").ask("GET", "/stream")
    assert (status, headers["Content-Length"], body) == (200, "0", b"")


def test_a_store_that_fails_at_once_is_503(make):
    probe = make()
    status, headers, _ = probe.ask("GET", "/stream?fail_from=0")
    assert status == 503 and headers["Retry-After"] and headers["Content-Range"] is None
    assert probe.ask("GET", "/stream?fail_from=0", headers={"Range": "bytes=5-9"})[0] == 503


@pytest.mark.parametrize("query", ["fail_from=1000000", f"size={SIZE + 10}"])
def test_a_store_that_fails_later_cuts_the_answer(make, content, query):
    probe = make()
    connection = begin(probe, f"/stream?{query}")
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert content.startswith(body) and 0 < len(body) <= SIZE
    with pytest.raises(http.client.IncompleteRead):
        probe.ask("GET", f"/stream?{query}")
    probe.settled(finishes=2)
    assert 'route="/stream",code="aborted"} 2' in probe.admin("/metrics")[1]
    assert probe.ask("GET", "/stream")[2] == content


def test_a_store_that_stalls_cuts_the_answer_at_the_deadline(make):
    probe = make(fill_ms=400)
    connection = begin(probe, "/stream?slow_from=1&fill_ms=2000")
    assert 0 < len(read_all(connection)) < SIZE
    probe.settled(finishes=1)


def test_an_answer_that_waits_too_long_for_a_worker_is_cut(make):
    probe = make(workers=1, queue_wait_ms=300)
    streaming = begin(probe, "/stream?slow_from=1&fill_ms=100")
    streaming.recv(1)
    other = begin(probe, "/slow?ms=2000")
    assert len(read_all(streaming)) < SIZE
    assert b" 200 " in other.recv(100)


def test_who_takes_nothing_is_closed_and_who_takes_little_is_served(make, content):
    probe = make(download_stall_ms=2000)
    stalled = begin(probe, "/stream")
    slow = begin(probe, "/stream")
    stalled.recv(1)
    received = b""
    while piece := slow.recv(1000 if len(received) < 100_000 else 65536):
        received += piece
        if len(received.partition(b"\r\n\r\n")[2]) == SIZE:
            break
    assert received.endswith(content[-1000:])
    probe.settled(finishes=2)
    assert len(read_all(stalled)) < SIZE


def test_who_goes_away_frees_what_it_had(make):
    probe = make(workers=2)
    for _ in range(3):
        gone = [begin(probe, "/stream?slow_from=1&fill_ms=30") for _ in range(10)]
        for each in gone[:5]:
            each.recv(1000)
        for each in gone:
            each.close()
    probe.settled(finishes=30)
    assert probe.ask("GET", "/hello")[0] == 200


def test_a_stop_lets_streams_end_within_the_drain(make, content):
    probe = make(drain_ms=20000)
    client = probe.client()
    client.request("GET", "/stream?fill_ms=30")
    answer = client.getresponse()
    probe.process.terminate()
    assert answer.read() == content
    assert probe.process.wait(30) == 0


def test_a_stop_cuts_the_streams_that_have_not_ended_with_the_drain(make):
    probe = make(drain_ms=300, workers=2)
    streams = [begin(probe, "/stream?slow_from=1&fill_ms=200") for _ in range(20)]
    for each in streams:
        each.recv(1)
    probe.process.terminate()
    for each in streams:
        assert len(read_all(each)) < SIZE
    assert "finishes 20 closed 2" in probe.process.communicate(timeout=30)[0]
    assert probe.process.returncode == 0


def fetch(probe: Probe, target: str, wrong: list, content: bytes):
    if probe.ask("GET", target)[2] != content:
        wrong.append(target)


def test_a_hundred_at_once_are_served_by_a_few_workers(make, content):
    probe = make(workers=4)
    wrong = []
    threads = [threading.Thread(target=fetch, args=(probe, f"/stream?most={most}", wrong, content))
               for most in range(15_000, 65_000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(threads) == 100 and wrong == []
    probe.settled(finishes=100)


@pytest.mark.release_build
def test_memory_does_not_grow_with_the_size_of_the_file(make, tmp_path):
    big = tmp_path / "big"
    with open(big, "wb") as file:
        file.truncate(400 << 20)
    probe = make(file=big)
    connection = begin(probe, "/stream")
    left = 400 << 20
    while left > 0:
        left -= len(connection.recv(1 << 20))
    wait_until(lambda: probe.counts()["finishes"] == 1)
    assert memory_kib(probe.process.pid, "VmHWM") < 16 << 10
