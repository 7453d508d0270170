"""MP3s on their way out: parts, validators, names, links, and the predecessors' commands."""
import hashlib
import socket
import uuid
from urllib.parse import unquote

import pytest

from gateway_client import form, jobs_query, send_form, stopped
from media import long_video
from servers import MongoDB
from service import basic, wait_until


@pytest.fixture(scope="module")
def owner(service) -> str:
    return service.user("owner@example.org")


@pytest.fixture(scope="module")
def ready(service, owner, video) -> dict:
    identifier = service.upload(owner, video, "Gr\u00fc\u00dfe an alle.mp4").json["id"]
    return service.wait_for(owner, identifier, "ready")


@pytest.fixture
def path(ready) -> str:
    return f"/api/v1/conversions/{ready['id']}/audio"


def test_the_audio_comes_whole_with_its_validators_and_name(service, owner, ready, path):
    answer = service.request("GET", path, token=owner)
    assert answer.status == 200
    assert hashlib.sha256(answer.body).hexdigest() == ready["audio"]["sha256"]
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Content-Length"] == str(ready["audio"]["bytes"])
    assert answer.headers["ETag"] == f'"{ready["audio"]["sha256"]}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert unquote(disposition.split("filename*=UTF-8''")[1]) == "Gr\u00fc\u00dfe an alle.mp3"


def test_head_says_the_same_without_the_bytes(service, owner, ready, path):
    answer = service.request("HEAD", path, token=owner)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(ready["audio"]["bytes"])
    assert answer.headers["ETag"] == f'"{ready["audio"]["sha256"]}"'


def test_parts_of_the_audio_fit_together(service, owner, ready, path):
    whole = service.request("GET", path, token=owner).body
    size = len(whole)
    for wanted, start, end in (("bytes=0-99", 0, 100), ("bytes=100-", 100, size),
                               ("bytes=-50", size - 50, size), (f"bytes=10-{size * 2}", 10, size)):
        part = service.request("GET", path, headers={"Range": wanted}, token=owner)
        assert part.status == 206
        assert part.body == whole[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    beyond = service.request("GET", path, headers={"Range": f"bytes={size}-"}, token=owner)
    assert beyond.status == 416 and beyond.headers["Content-Range"] == f"bytes */{size}"


def test_validators_are_honoured(service, owner, ready, path):
    etag = f'"{ready["audio"]["sha256"]}"'

    def status(**headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return service.request("GET", path, headers=named, token=owner).status

    assert status(If_None_Match=etag) == 304
    assert status(If_None_Match='"other"') == 200
    assert status(If_Match='"other"') == 412
    assert status(Range="bytes=0-9", If_Range=etag) == 206
    assert status(Range="bytes=0-9", If_Range='"other"') == 200


def test_what_is_not_ready_is_a_conflict(service, owner):
    with stopped(service.children("converter")):
        queued = service.upload(owner, b"x").json["id"]
        for tail, method in (("audio", "GET"), ("links", "POST")):
            answer = service.request(method, f"/api/v1/conversions/{queued}/{tail}", token=owner)
            assert (answer.status, answer.code) == (409, "not_ready")
        answer = service.request("GET", f"/download?fid={queued}", token=owner)
        assert (answer.status, answer.code) == (409, "not_ready")
    failed = service.wait_for(owner, queued, "failed")
    for tail, method in (("audio", "GET"), ("links", "POST")):
        answer = service.request(method, f"/api/v1/conversions/{queued}/{tail}", token=owner)
        assert (answer.status, answer.code) == (409, failed["error"]["code"])


def test_links_to_one_conversion_are_limited(service, owner, video):
    identifier = service.upload(owner, video).json["id"]
    service.wait_for(owner, identifier, "ready")
    path = f"/api/v1/conversions/{identifier}/links"
    answers = [service.request("POST", path, token=owner) for _ in range(100)]
    assert [answer.status for answer in answers] == [201] * 99 + [429]
    assert answers[-1].code == "too_many_links"


def test_a_link_works_without_a_log_in(service, owner, ready):
    answer = service.request("POST", f"/api/v1/conversions/{ready['id']}/links", token=owner)
    assert answer.status == 201 and answer.json["expires_at"] <= ready["expires_at"][:-4] + "999Z"
    url = answer.json["url"]
    assert url.startswith(f"{service.url}/d/")
    by_link = service.request("GET", url.removeprefix(service.url))
    assert by_link.status == 200
    assert hashlib.sha256(by_link.body).hexdigest() == ready["audio"]["sha256"]
    part = service.request("GET", url.removeprefix(service.url), headers={"Range": "bytes=0-9"})
    assert part.status == 206
    assert url.rsplit("/", 1)[1] not in service.log(), "a link is a secret"


@pytest.mark.parametrize("token", ["x", "0" * 26, "0" * 27, "%00", "../../etc"])
def test_a_link_that_is_over_says_so_kindly(service, token):
    answer = service.request("GET", f"/d/{token}")
    assert answer.status in (400, 404)
    if len(token) == 26:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert b"This link is over" in answer.body


def test_expired_audio_is_gone_with_its_links(service, owner, video):
    identifier = service.upload(owner, video).json["id"]
    service.wait_for(owner, identifier, "ready")
    path = f"/api/v1/conversions/{identifier}"
    url = service.request("POST", f"{path}/links", token=owner).json["url"]
    jobs_query(service, "UPDATE conversion SET wake_at=1, expires_at=1 WHERE id=?", identifier)
    wait_until(lambda: service.request("GET", f"{path}/audio", token=owner).status == 404, what="expiry")
    assert service.request("GET", url.removeprefix(service.url)).status == 404
    assert service.request("GET", path, token=owner).status == 404


@pytest.mark.distributed
def test_a_download_is_cut_when_its_store_dies_and_goes_on_by_range(new_service, own_server, tmp_path):
    store = own_server(MongoDB)
    service = new_service(own=[store], converters=1).start()
    token = service.user("owner@example.org")
    video = long_video(tmp_path / "long.mp4", 60)
    identifier = service.upload(token, video, fields={"preset": "cbr320"}).json["id"]
    audio = service.wait_for(token, identifier, "ready")["audio"]
    path = f"/api/v1/conversions/{identifier}/audio"
    with socket.socket() as connection:
        connection.settimeout(60)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                           .encode())
        received = connection.recv(1000)
        store.kill()
        while piece := connection.recv(65536):
            received += piece
    first = received.partition(b"\r\n\r\n")[2]
    assert 0 < len(first) < audio["bytes"]
    store.restart()
    rest = wait_until(lambda: part_from(service, path, token, len(first)), 60, what="the store")
    assert hashlib.sha256(first + rest).hexdigest() == audio["sha256"]


def part_from(service, path: str, token: str, offset: int) -> bytes | None:
    answer = service.request("GET", path, headers={"Range": f"bytes={offset}-"}, token=token)
    return answer.body if answer.status == 206 else None


# ---- what the predecessors' clients do ----


def test_the_predecessors_upload_takes_any_field_and_says_the_id(service, owner):
    answer = send_form(service, owner, *form(("whatever", "a.mp4", b"x")), path="/upload")
    assert answer.status == 200
    assert answer.json["message"] == "success!"
    listed = service.request("GET", "/api/v1/conversions?limit=1", token=owner).json["items"]
    assert answer.json["id"] == listed[0]["id"]


@pytest.mark.parametrize("parts", [[("a", None, b"text")],
                                   [("a", "a.mp4", b"x"), ("b", "b.mp4", b"x")]])
def test_the_predecessors_upload_wants_exactly_one_file(service, owner, parts):
    answer = send_form(service, owner, *form(*parts), path="/upload")
    assert (answer.status, answer.body) == (400, b"exactly 1 file required")


def test_the_predecessors_download_wants_an_id(service, owner, ready):
    answer = service.request("GET", f"/download?fid={ready['id']}", token=owner)
    assert answer.status == 200
    assert hashlib.sha256(answer.body).hexdigest() == ready["audio"]["sha256"]
    assert answer.headers["Content-Disposition"].startswith("inline;")
    for query in ("", "?fid="):
        missing = service.request("GET", f"/download{query}", token=owner)
        assert (missing.status, missing.code) == (400, "missing_fid")
    for fid in ("65a1b2c3d4e5f60718293a4b", "01J00000000000000000000000", "x"):
        unknown = service.request("GET", f"/download?fid={fid}", token=owner)
        assert (unknown.status, unknown.code) == (404, "not_found")
    other = service.user(f"{uuid.uuid4().hex}@example.org")
    assert service.request("GET", f"/download?fid={ready['id']}", token=other).status == 404


def test_the_predecessors_paths_tell_missing_tokens_from_bad_ones(service):
    body, content_type = form(("file", "a.mp4", b"x"))
    for token, status, code in ((None, 401, "missing_token"), ("a.b.c", 403, "invalid_token")):
        upload = send_form(service, token, body, content_type, path="/upload")
        assert (upload.status, upload.code) == (status, code)
        download = service.request("GET", "/download?fid=x", token=token)
        assert (download.status, download.code) == (status, code)


def test_the_predecessors_log_in_answers_with_the_bare_token(service):
    email = f"{uuid.uuid4().hex}@example.org"
    credentials = {"Authorization": basic(email)}
    assert service.request("POST", "/register", headers=credentials).status in (200, 201)
    answer = service.request("POST", "/login", headers=credentials)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert service.request("GET", "/api/v1/account", token=answer.body.decode()).status == 200
    wrong = service.request("POST", "/login", headers={"Authorization": basic(email, "wrong")})
    assert wrong.status == 401
