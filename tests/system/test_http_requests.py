"""Ordinary requests: routes, keep-alive, bodies, ranges, addresses, the operators' port."""
import http.client
import json
import random

import pytest

from http_probe import Probe, read_all, read_answer


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(1).randbytes(3_000_000)


@pytest.fixture(scope="module")
def probe(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("http") / "file"
    path.write_bytes(content)
    running = Probe(file=path, trusted="127.0.0.1,10.0.0.0/8")
    yield running
    running.stop()


def fnv(data: bytes) -> int:
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def test_one_connection_serves_many_requests(probe):
    client = probe.client()
    for target, status in (("/hello", 200), ("/none", 404), ("/count-down?times=3&ms=5", 200),
                           ("/items/a", 200), ("/slow?ms=10", 200)):
        client.request("GET", target)
        used = client.sock
        answer = client.getresponse()
        assert answer.status == status
        answer.read()
        assert client.sock is used and used is not None
    for size in (0, 1, 999, 1000):
        client.request("POST", "/echo", body=b"x" * size)
        assert client.getresponse().read() == b"x" * size
        assert client.sock is used
    client.close()


def test_pipelined_requests_are_answered_in_order(probe):
    connection = probe.connect()
    request = b"GET /items/%d HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.sendall(b"".join(request % i for i in range(20)) +
                       b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                       b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for i in range(20):
        assert json.loads(read_answer(connection)[2])["id"] == str(i)
    assert read_answer(connection)[2] == b"abc"
    assert read_answer(connection)[2] == b"hello\n"
    assert read_all(connection) == b""


@pytest.mark.parametrize("target", [b"/file", b"/stream"])
def test_head_has_the_headers_of_get_and_no_body(probe, content, target):
    connection = probe.connect()
    connection.sendall(b"HEAD " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head and body == b""


def test_targets_reach_the_handler_decoded(probe):
    told = json.loads(probe.ask("GET", "/items/a%20b?x=1%2B+2", headers={"Cookie": "b=1; c=2"})[2])
    assert told["id"] == "a b" and told["x"] == "1+ 2" and told["cookie"] == "2"
    assert told["path"] == "/items/a%20b" and told["route"] == "/items/{id}"
    assert json.loads(probe.ask("GET", "/items/special")[2])["route"] == "/items/special"


@pytest.mark.parametrize("target", ["/file", "/stream", "/stream?most=40000"])
@pytest.mark.parametrize("value,status,first,size", [
    (None, 200, 0, 3_000_000), ("bytes=0-0", 206, 0, 1), ("bytes=2999990-", 206, 2_999_990, 10),
    ("bytes=-7", 206, 2_999_993, 7), ("bytes=100-200099", 206, 100, 200_000),
    ("bytes=0-1,5-6", 200, 0, 3_000_000), ("bytes=3000000-", 416, 0, None)])
def test_files_are_answered_in_ranges(probe, content, target, value, status, first, size):
    answered, headers, body = probe.ask("GET", target, headers={"Range": value} if value else {})
    assert answered == status and headers["Accept-Ranges" if status < 400 else "Content-Range"]
    if status == 416:
        assert headers["Content-Range"] == "bytes */3000000"
        return
    assert body == content[first:first + size] and headers["ETag"] == '"v1"'
    if status == 206:
        assert headers["Content-Range"] == f"bytes {first}-{first + size - 1}/3000000"


@pytest.mark.parametrize("target", ["/file", "/stream"])
def test_conditions_of_files(probe, target):
    assert probe.ask("GET", target, headers={"If-None-Match": '"v1"'})[0] == 304
    assert probe.ask("GET", target, headers={"If-Match": '"v2"'})[0] == 412
    headers = {"Range": "bytes=0-9", "If-Range": '"v2"'}
    assert probe.ask("GET", target, headers=headers)[0] == 200


def test_a_file_is_named_for_old_and_new_readers(probe):
    _, headers, _ = probe.ask("GET", "/file?name=%C3%BC%22a%0Ab;%2F.mp3")
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"__a_b;_.mp3\"; filename*=UTF-8''%C3%BC%22a%0Ab%3B%2F.mp3")
    assert probe.ask("GET", "/file?inline=1")[1]["Content-Disposition"] == "inline"


def test_only_trusted_peers_name_the_client(probe, tmp_path):
    headers = {"X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.1.1.1", "X-Forwarded-Proto": "https",
               "X-Forwarded-Host": "unreel.example"}
    told = json.loads(probe.ask("GET", "/describe", headers=headers)[2])
    assert (told["address"], told["scheme"], told["host"]) == ("1.2.3.4", "https", "unreel.example")
    stranger = Probe()
    told = json.loads(stranger.ask("GET", "/describe", headers=headers)[2])
    assert (told["address"], told["scheme"]) == ("127.0.0.1", "http")
    assert told["host"].startswith("127.0.0.1:")
    stranger.stop()
    local = Probe(f"unix:{tmp_path}/s")
    told = json.loads(local.ask("GET", "/describe", headers=headers)[2])
    assert told["address"] == "10.1.1.1" and told["scheme"] == "https"
    local.stop()


def test_a_socket_file_is_private_and_goes_with_its_server(tmp_path):
    path = tmp_path / "s"
    first = Probe(f"unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AssertionError, match="another server listens"):
        Probe(f"unix:{path}")
    assert first.ask("GET", "/hello")[0] == 200
    first.process.kill()
    first.process.wait()
    second = Probe(f"unix:{path}")  # a stale file is no obstacle
    assert second.ask("GET", "/hello")[0] == 200
    second.stop()
    assert not path.exists()


def test_a_worker_that_cannot_open_tries_again():
    probe = Probe(workers=1, open_failures=2, worker_retry_ms=50, queue_wait_closed_ms=5000)
    assert probe.ask("GET", "/worker")[2] == b"worker"
    assert probe.counts()["opened"] == 3
    probe.stop()


def test_requests_are_refused_soon_while_no_worker_is_open():
    probe = Probe(workers=1, open_failures=1000, worker_retry_ms=50, queue_wait_closed_ms=200)
    status, headers, _ = probe.ask("GET", "/worker")
    assert status == 503 and headers["Retry-After"]
    probe.stop()


def test_a_missing_answer_is_an_internal_error(probe):
    assert probe.ask("GET", "/silent")[0] == 500


def test_the_operators_port(probe):
    probe.ask("GET", "/hello")
    assert probe.admin("/livez") == (200, "ok\n")
    assert probe.admin("/readyz") == (200, "ok\n")
    status, text = probe.admin("/metrics")
    assert status == 200 and 'unreel_dependency_up{dependency="always"} 1' in text
    assert 'unreel_http_requests_total{server="probe",route="/hello",code="200"}' in text
    assert 'unreel_http_connections{server="probe"}' in text
    assert probe.admin("/other")[0] == 404


def test_hashes_of_uploads(probe, content):
    piece = content[:700_000]
    expected = {"size": len(piece), "hash": fnv(piece)}
    status, _, body = probe.ask("PUT", "/upload?hash", body=piece)
    assert status == 201 and json.loads(body) == expected
    chunks = [piece[i:i + 7919] for i in range(0, len(piece), 7919)]
    status, _, body = probe.ask("PUT", "/upload?hash", body=iter(chunks),
                                headers={"Transfer-Encoding": "chunked"})
    assert status == 201 and json.loads(body) == expected


def test_collected_bodies_have_a_limit(probe):
    assert probe.ask("POST", "/echo", body=b"x" * 1001)[0] == 413
    chunked = {"Transfer-Encoding": "chunked"}
    assert probe.ask("POST", "/echo", body=iter([b"x" * 500] * 2), headers=chunked)[0] == 200
    connection = probe.connect()
    connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"258\r\n" + b"x" * 600 + b"\r\n258\r\n" + b"x" * 600 + b"\r\n")
    assert read_all(connection).startswith(b"HTTP/1.1 413 ")
