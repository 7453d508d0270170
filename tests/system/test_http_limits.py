"""Slow clients, too many clients, too much work, and the end of the server."""
import time

import pytest

from http_probe import Probe, read_all, read_answer

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def make():
    made = []

    def start(**settings) -> Probe:
        made.append(Probe(**settings))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def drip(connection, byte: bytes, every_s: float) -> bytes:
    """Sends a byte now and then until the server closes; what the server said."""
    connection.settimeout(every_s)
    data = b""
    for _ in range(200):
        try:
            connection.sendall(byte)
            piece = connection.recv(65536)
            if not piece:
                return data
            data += piece
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return data
    raise AssertionError("it stayed open")


def test_headers_that_never_end_are_cut(make):
    probe = make(header_ms=500)
    for start in (b"", b"GET /hello HTTP/1.1\r\n", b"GET /hello HTTP/1.1\r\nX: "):
        connection = probe.connect()
        connection.sendall(start)
        assert b" 200 " not in drip(connection, b"a", 0.1)
    assert probe.ask("GET", "/hello")[0] == 200


def test_an_idle_connection_is_closed(make):
    probe = make(idle_ms=300)
    connection = probe.connect()
    connection.sendall(GET % b"/hello")
    assert read_answer(connection)[0] == 200
    assert read_all(connection) == b""


def test_a_body_that_stops_gets_408(make):
    probe = make(body_stall_ms=300)
    connection = probe.connect()
    connection.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 408 ") and b'"code":"timeout"' in data
    assert probe.settled(finishes=1)["ends"] == 0


def test_a_body_that_stops_behind_a_whole_piece_gets_408(make):
    probe = make(body_stall_ms=300)
    connection = probe.connect()
    connection.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
                       + b"x" * (256 << 10))
    assert probe.settled(bodies=1)["ends"] == 0
    assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_body_below_the_slowest_rate_gets_408(make):
    probe = make(body_window_ms=1000, body_bytes_a_second=1000)
    connection = probe.connect()
    connection.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    assert drip(connection, b"x", 0.05).startswith(b"HTTP/1.1 408 ")
    connection = probe.connect()
    connection.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(40):
        connection.sendall(b"x" * 2500)
        time.sleep(0.05)
    assert read_answer(connection)[0] == 201


def test_our_own_slow_steps_do_not_count_against_the_client(make):
    probe = make(body_stall_ms=400, body_window_ms=500, body_bytes_a_second=200_000)
    assert probe.ask("PUT", "/upload?body_ms=1000", body=b"x" * 800_000)[0] == 201


def test_connections_past_the_budget_get_503_at_once(make):
    probe = make(connections=5)
    held = [probe.connect() for _ in range(5)]
    held[0].sendall(GET % b"/hello")
    assert read_answer(held[0])[0] == 200
    for _ in range(3):
        connection = probe.connect()
        connection.sendall(GET % b"/hello")
        status, headers, _ = read_answer(connection)
        assert status == 503 and headers["retry-after"] and headers["connection"] == "close"
    for each in held:
        each.close()
    for _ in range(100):
        if probe.ask("GET", "/hello")[0] == 200:
            break
        time.sleep(0.05)
    assert probe.ask("GET", "/hello")[0] == 200


def test_far_past_the_budget_nobody_waits(make):
    probe = make(connections=5)
    held = [probe.connect() for _ in range(5 + 256 + 10)]
    connection = probe.connect()
    assert read_all(connection).startswith(b"HTTP/1.1 503 ")
    for each in held:
        each.close()


def test_a_full_queue_is_503_and_a_long_wait_too(make):
    probe = make(workers=1, queue_length=2, queue_wait_ms=700)
    running = probe.connect()
    running.sendall(GET % b"/slow?ms=3000")
    time.sleep(0.2)
    waiting = [probe.connect() for _ in range(2)]
    for each in waiting:
        each.sendall(GET % b"/hello")
        time.sleep(0.1)
    assert probe.ask("GET", "/hello")[0] == 503  # at once
    for each in waiting:
        assert read_answer(each)[0] == 503  # after their wait
    assert read_answer(running)[0] == 200


def test_parked_requests_hold_no_worker(make):
    probe = make(workers=1)
    parked = [probe.connect() for _ in range(50)]
    for each in parked:
        each.sendall(GET % b"/count-down?times=2&ms=1000")
    for _ in range(20):
        assert probe.ask("GET", "/hello")[0] == 200
    for each in parked:
        assert read_answer(each)[0] == 200


def test_stopping_ends_parked_requests_and_lets_uploads_end(make):
    probe = make(drain_ms=5000)
    parked = [probe.connect() for _ in range(20)]
    for each in parked:
        each.sendall(GET % b"/hold?ms=60000")
    idle = probe.connect()
    idle.sendall(GET % b"/hello")
    read_answer(idle)
    upload = probe.connect()
    upload.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n")
    upload.sendall(b"x" * 300_000)
    time.sleep(0.3)
    probe.process.terminate()
    for each in parked:
        status, headers, body = read_answer(each)
        assert (status, body, headers["connection"]) == (200, b"stopping\n", "close")
    assert read_all(idle) == b""
    with pytest.raises(ConnectionRefusedError):
        probe.connect()
    upload.sendall(b"x" * 300_000)
    assert read_answer(upload)[0] == 201
    assert "finishes 1 closed 4" in probe.process.communicate(timeout=30)[0]
    assert probe.process.returncode == 0


def test_what_has_not_ended_with_the_drain_is_cut(make):
    probe = make(drain_ms=300, workers=2)
    upload = probe.connect()
    upload.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n" +
                   b"x" * 300_000)
    held = [probe.connect() for _ in range(10)]
    for each in held:
        each.sendall(GET % b"/count-down?times=1000000&ms=60000")
    slow = probe.connect()
    slow.sendall(GET % b"/slow?ms=1000")
    time.sleep(0.3)
    probe.process.terminate()
    for each in held:
        assert read_all(each).startswith(b"HTTP/1.1 503 ")
    assert read_all(upload) == b""
    assert read_all(slow).startswith(b"HTTP/1.1 200 ")
    assert "finishes 11 closed 2" in probe.process.communicate(timeout=30)[0]
    assert probe.process.returncode == 0
