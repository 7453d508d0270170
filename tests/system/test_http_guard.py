"""What the HTTP server answers to requests that two parsers could read differently."""
import pytest

from http_probe import Probe, read_all

HOST = b"Host: x\r\n"
GET = b"GET /hello HTTP/1.1\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSED = 0  # closed, or silent until a deadline, without an answer

# Name, request, the statuses it may get. Below 400 only what is marked as known to pass.
VECTORS = [
    ("plain GET", GET + HOST + b"\r\n", {200}),
    ("chunked", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", {200}),
    ("trailer", CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", {200}),
    ("empty line first", b"\r\n" + GET + HOST + b"\r\n", {200}),
    ("absolute form", b"GET http://x/hello HTTP/1.1\r\n" + HOST + b"\r\n", {200}),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", {204}),
    # libmicrohttpd 0.9.75 takes this from us before we see it; a proxy in front repairs it.
    ("chunk sizes end in LF", CHUNKED + b"3\nabc\n0\n\n", {200, 400}),
    # libmicrohttpd 1.0.1 takes the LF behind an extension for the first byte of what follows: it
    # refuses a whole message, and passes one that lacks a byte, which a proxy would refuse.
    ("legal chunk extension", CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n", {200, 400}),
    ("legal extension of the last chunk", CHUNKED + b"3\r\nabc\r\n0;a=b\r\n\r\n", {200, 400}),
    ("chunk extension and a byte short", CHUNKED + b"3;a=b\r\nab\r\n0\r\n\r\n", {200, 400}),
    # Refused; libmicrohttpd 1.0 closes at a NUL in the request line without a word.
    ("bare LF", b"GET /hello HTTP/1.1\nHost: x\n\n", {400}),
    ("one bare LF", GET + b"X: y\n" + HOST + b"\r\n", {400}),
    ("bare LF at the end", GET + HOST + b"\n", {400}),
    ("obs-fold", GET + HOST + b"X: a\r\n b\r\n\r\n", {400}),
    ("obs-fold of nothing", GET + HOST + b"X: a\r\n \r\n\r\n", {400}),
    ("obs-fold in Transfer-Encoding", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
     {400}),
    ("NUL in a value", GET + HOST + b"X: a\0b\r\n\r\n", {400}),
    ("NUL at the end of a value", GET + HOST + b"X: a\0\r\n\r\n", {400}),
    ("NUL in the target", b"GET /hello\0x HTTP/1.1\r\n" + HOST + b"\r\n", {400, CLOSED}),
    ("NUL in the method", b"GET\0 /hello HTTP/1.1\r\n" + HOST + b"\r\n", {400, CLOSED}),
    ("two spaces", b"GET  /hello HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("two spaces before the version", b"GET /hello  HTTP/1.1\r\n" + HOST + b"\r\n", {400, CLOSED}),
    ("empty name", GET + HOST + b": x\r\n\r\n", {400}),
    ("CL and TE", POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
     b"GET /counts HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("two CL", POST + b"Content-Length: 3\r\nContent-Length: 6\r\n\r\nabcdef", {400}),
    ("list CL", POST + b"Content-Length: 3, 3\r\n\r\nabc", {400}),
    ("signed CL", POST + b"Content-Length: +3\r\n\r\nabc", {400}),
    ("hexadecimal CL", POST + b"Content-Length: 0x3\r\n\r\nabc", {400}),
    ("unknown TE", POST + b"Transfer-Encoding: foo\r\n\r\nabc", {400}),
    ("TE list", POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", {400}),
    ("space before the colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", {400}),
    ("TE in 1.0", b"POST /echo HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     {400}),
    ("no Host", GET + b"\r\n", {400}),
    ("two Hosts", GET + HOST + HOST + b"\r\n", {400}),
    ("bare CR in a value", GET + HOST + b"X: a\rb\r\n\r\n", {400}),
    ("NUL in a name", GET + HOST + b"X\0: a\r\n\r\n", {400}),
    ("no colon", GET + HOST + b"X\r\n\r\n", {400}),
    ("space before the first header", GET + b" Host: x\r\n\r\n", {400}),
    ("space in the target", b"GET /hel lo HTTP/1.1\r\n" + HOST + b"\r\n", {400, CLOSED}),
    ("tabs for spaces", b"GET\t/hello HTTP/1.1\r\n" + HOST + b"\r\n", {400, CLOSED}),
    ("no version", b"GET /hello\r\n\r\n", {400, CLOSED}),
    ("small version", b"GET /hello http/1.1\r\n" + HOST + b"\r\n", {400}),
    ("version 2.0", b"GET /hello HTTP/2.0\r\n" + HOST + b"\r\n", {400, 505}),
    ("chunk size 0x3", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", {400}),
    ("negative chunk size", CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n", {400}),
    ("chunk end", CHUNKED + b"3\r\nabcXX0\r\n\r\n", {400}),
    ("huge chunk size", CHUNKED + b"fffffffffffffffff\r\nabc", {400, 413}),
    ("LF in a chunk extension", CHUNKED + b"3;\nxx\r\nabc\r\n0\r\n\r\n", {400, 408, CLOSED}),
    ("65 headers", GET + HOST + b"X: y\r\n" * 64 + b"\r\n", {400}),
    ("20 kB header", GET + HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n", {400, 431}),
    ("20 kB target", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {400, 414}),
    ("encoded NUL", b"GET /items/a%00b HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("bad escape", b"GET /items/a%zz HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("parent segment", b"GET /items/../hello HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("encoded parent segment", b"GET /items/%2e%2e/hello HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("encoded slash", b"GET /items/a%2fb HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("other authority", b"GET http://y/hello HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("TRACE", b"TRACE /hello HTTP/1.1\r\n" + HOST + b"\r\n", {405}),
    ("CONNECT", b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n", {501}),
    ("unknown method", b"BREW /hello HTTP/1.1\r\n" + HOST + b"\r\n", {405}),
    ("GET *", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("body where none is allowed", GET + HOST + b"Content-Length: 3\r\n\r\nabc", {413}),
]


@pytest.fixture(scope="module")
def probe():
    running = Probe(body_stall_ms=500, header_ms=1000, idle_ms=300)
    yield running
    running.stop()


@pytest.mark.parametrize("request_bytes,allowed", [v[1:] for v in VECTORS],
                         ids=[v[0] for v in VECTORS])
def test_a_request_gets_one_of_its_allowed_answers(probe, request_bytes, allowed):
    connection = probe.connect()
    connection.sendall(request_bytes)
    data = read_all(connection)
    status = int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else CLOSED
    assert status in allowed, data
    if status >= 400 and b"problem+json" in data and status not in (404, 405):
        assert b"Connection: close" in data
    assert b"Server:" not in data
    # Whatever a refused request carried along was not answered as a request of its own.
    if status >= 400:
        assert b'"begins"' not in data


def test_every_answer_of_ours_carries_the_security_headers(probe):
    for method, target in (("GET", "/hello"), ("GET", "/none"), ("PUT", "/hello"),
                           ("OPTIONS", "/hello"), ("GET", "/a%00")):
        _, headers, _ = probe.ask(method, target)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers


def test_refusals_are_problems(probe):
    for method, target, status, code in (("GET", "/none", 404, "not_found"),
                                         ("PUT", "/hello", 405, "method_not_allowed"),
                                         ("GET", "/a%00", 400, "bad_request")):
        answered, headers, body = probe.ask(method, target)
        assert answered == status and headers["Content-Type"] == "application/problem+json"
        assert f'"code":"{code}"'.encode() in body
    assert probe.ask("PUT", "/hello")[1]["Allow"] == "GET, HEAD, OPTIONS"


PLAIN = [
    b"GET /describe?x=a&y=%20b&z HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hello HTTP/1.1\r\nHost:x\r\nA:\r\nB: \r\nC:\t c \t \r\nD:  \td\r\n\r\n",
    b"GET /hello HTTP/1.1\r\nHost: x\r\nCookie: a=1; b=2; c=\"3\"\r\nCookie: d=4\r\n\r\n",
    b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"X-Many: y\r\n" * 63 + b"\r\n",
    b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\nCookie: c=" + b"b" * 2000 +
    b"\r\n\r\n",
    b"GET /hello?" + b"q" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hello HTTP/1.0\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
]


@pytest.mark.parametrize("pieces", [1, 2, 7, 100000])
def test_ordinary_requests_pass_however_they_are_cut(probe, pieces):
    for wire in PLAIN:
        connection = probe.connect()
        step = len(wire) if pieces == 100000 else max(1, len(wire) // 400, pieces)
        for at in range(0, len(wire), step):
            connection.sendall(wire[at:at + step])
        assert read_all(connection).startswith(b"HTTP/1.1 200 "), wire[:100]


def test_ordinary_requests_pass_one_after_another(probe):
    connection = probe.connect()
    wire = [each for each in PLAIN if b"HTTP/1.0" not in each]
    connection.sendall(b"".join(wire))
    assert read_all(connection).count(b"HTTP/1.1 200 ") == len(wire)
