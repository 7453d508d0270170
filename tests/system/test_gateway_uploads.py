"""Uploads: what is refused and why, what is promised by 201, and what an upload leaves behind."""
import http.client
import re
import socket
import uuid

import pytest

from gateway_client import (announce, begin_upload, blob_names, form, has_blob, jobs_query, metric,
                            read_answer, send_form, state_of, stopped)
from service import multipart, wait_until


@pytest.fixture
def token(service) -> str:
    return service.user(f"{uuid.uuid4().hex}@example.org")


def test_an_upload_answers_with_the_conversion_and_where_it_is(service, token):
    answer = service.upload(token, b"no video", "C:\\fakepath\\talk.mp4",
                            {"preset": "voice", "title": "A talk", "colour": "ignored"})
    assert answer.status == 201
    conversion = answer.json
    assert answer.headers["Location"] == f"/api/v1/conversions/{conversion['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert conversion["name"] == "talk.mp4"
    assert conversion["preset"] == "voice"
    assert conversion["state"] == "queued" and conversion["progress"] == 0
    assert conversion["source"] == {"bytes": 8}
    assert conversion["audio"] is None and conversion["error"] is None
    assert conversion["mail"] is None and conversion["expires_at"] is None
    for moment in ("created_at", "updated_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", conversion[moment])
    options = jobs_query(service, "SELECT options FROM conversion WHERE id=?", conversion["id"])
    assert options == [('{"preset":"voice","title":"A talk"}',)]


def test_the_fields_may_stand_behind_the_file(service, token):
    answer = send_form(service, token, *form(("file", "a.mp4", b"x"), ("preset", None, b"small")))
    assert (answer.status, answer.json["preset"]) == (201, "small")


def test_a_file_without_a_name_is_called_video(service, token):
    answer = send_form(service, token, *form(("file", "", b"x")))
    assert (answer.status, answer.json["name"]) == (201, "video.mp4")


def test_a_body_without_a_length_is_taken(service, token):
    body, content_type = multipart({}, "chunked.mp4", b"y" * 300000)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("POST", "/api/v1/conversions", iter([body[:7], body[7:200000], body[200000:]]),
                       {"Content-Type": content_type, "Authorization": f"Bearer {token}"},
                       encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 201
    assert b'"bytes":300000' in answer.read()
    connection.close()


@pytest.mark.parametrize("parts, status, code", [
    ([("preset", None, b"best")], 400, "no_file"),
    ([], 400, "no_file"),
    ([("file", "empty.mp4", b"")], 400, "empty_file"),
    ([("file", "a.mp4", b"x"), ("file", "b.mp4", b"x")], 400, "one_file"),
    ([("file", "a.mp4", b"x"), ("other", "b.mp4", b"x")], 400, "one_file"),
    ([("preset", None, b"loud"), ("file", "a.mp4", b"x")], 400, "unknown_preset"),
    ([("file", "a.mp4", b"x"), ("preset", None, b"voice\0")], 400, "unknown_preset"),
    ([("title", None, b"t" * 1025), ("file", "a.mp4", b"x")], 400, "field_too_long"),
])
def test_a_wrong_form_is_refused_with_its_code(service, token, parts, status, code):
    answer = send_form(service, token, *form(*parts))
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["detail"].endswith(".")
    listed = service.request("GET", "/api/v1/conversions", token=token).json["items"]
    assert listed == []


def test_an_unknown_preset_names_the_choices(service, token):
    answer = send_form(service, token, *form(("preset", None, b"loud"), ("file", "a.mp4", b"x")))
    for name in ("best", "standard", "small", "voice", "cbr128", "cbr320"):
        assert name in answer.json["detail"]


@pytest.mark.parametrize("content_type, status, code", [
    ("application/json", 415, "not_multipart"),
    ("multipart/form-database; boundary=x", 415, "not_multipart"),
    ("multipart/mixed; boundary=x", 415, "not_multipart"),
    ("multipart/form-data", 400, "missing_boundary"),
    ("multipart/form-data; boundary=", 400, "missing_boundary"),
    (f"multipart/form-data; boundary={'x' * 71}", 400, "missing_boundary"),
])
def test_another_content_type_is_refused(service, token, content_type, status, code):
    answer = send_form(service, token, b"{}", content_type)
    assert (answer.status, answer.code) == (status, code)


def test_a_body_that_was_cut_is_refused_and_leaves_nothing(service, token):
    body, content_type = form(("file", "a.mp4", b"x" * 100000))
    answer = send_form(service, token, body[:-20], content_type)
    assert (answer.status, answer.code) == (400, "truncated_body")
    identifier = jobs_query(service, "SELECT MAX(id) FROM conversion")[0][0]
    wait_until(lambda: state_of(service, identifier) == "deleted", what="the row to be taken back")
    assert not has_blob(service, identifier)


def test_without_a_good_token_the_body_is_not_read(service):
    body, content_type = form(("file", "a.mp4", b"x"))
    missing = send_form(service, None, body, content_type)
    assert (missing.status, missing.code) == (401, "missing_token")
    assert missing.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = announce(service, "a.b.c", 1 << 30)
    assert wrong.startswith(b"HTTP/1.1 401 ") and b"invalid_token" in wrong


def test_a_file_over_the_limit_is_refused_before_and_while_it_comes(new_service):
    service = new_service(settings={"UNREEL_MAX_UPLOAD": "1MiB"}).start()
    token = service.user("ann@example.org")
    early = announce(service, token, (2 << 20) + 1)
    assert early.startswith(b"HTTP/1.1 413 ") and b"too_large" in early
    late = service.upload(token, b"x" * ((1 << 20) + 1))
    assert (late.status, late.code) == (413, "too_large")
    assert service.upload(token, b"x" * (1 << 20)).status == 201


def test_an_upload_that_the_disk_cannot_hold_is_refused_before_it_comes(new_service):
    service = new_service(settings={"UNREEL_MAX_UPLOAD": "1TiB", "UNREEL_USER_BYTES": "100TiB"}).start()
    token = service.user("ann@example.org")
    answer = announce(service, token, 1 << 40)
    assert answer.startswith(b"HTTP/1.1 507 ") and b"no_space" in answer
    assert b"Retry-After:" in answer


def test_quotas_are_kept(new_service):
    service = new_service(settings={"UNREEL_USER_BYTES": "100KiB", "UNREEL_USER_UNFINISHED": "2"}).start()
    token = service.user("ann@example.org")
    answer = service.upload(token, b"x" * 110000)
    assert (answer.status, answer.code) == (507, "quota_bytes")
    with stopped(service.children("converter")):
        assert service.upload(token, b"x" * 1000).status == 201
        assert service.upload(token, b"x" * 1000).status == 201
        answer = service.upload(token, b"x" * 1000)
        assert (answer.status, answer.code) == (429, "quota_unfinished")
        assert len(answer.headers.get_all("Retry-After")) == 1
        account = service.request("GET", "/api/v1/account", token=token).json
        assert account["quota"] == {"bytes_used": 2000, "bytes_limit": 102400, "unfinished": 2,
                                    "unfinished_limit": 2}
        other = service.user("bob@example.org")
        assert service.upload(other, b"x").status == 201


def test_a_body_without_a_length_cannot_pass_the_quota(new_service):
    service = new_service(settings={"UNREEL_USER_BYTES": "100KiB"}).start()
    token = service.user("ann@example.org")
    body, content_type = multipart({}, "chunked.mp4", b"y" * 700000)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        connection.request("POST", "/api/v1/conversions", iter([body]),
                           {"Content-Type": content_type, "Authorization": f"Bearer {token}"},
                           encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 507 and b"quota_bytes" in answer.read()
    finally:
        connection.close()


def test_the_same_idempotency_key_gives_the_same_conversion(service, token):
    key = {"Idempotency-Key": "upload 1"}
    first = service.upload(token, b"x" * 1000, headers=key)
    again = service.upload(token, b"x" * 1000, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Location"] == first.headers["Location"]
    other = service.user(f"{uuid.uuid4().hex}@example.org")
    assert service.upload(other, b"x", headers=key).json["id"] != first.json["id"]
    repeated = announce(service, token, 1 << 20, "Idempotency-Key: upload 1\r\n")
    assert repeated.startswith(b"HTTP/1.1 201 "), "the body is not asked for"


def test_an_idempotency_key_in_use_is_a_conflict_until_its_upload_ends(service, token):
    key = {"Idempotency-Key": "twin"}
    body, _ = form(("file", "a.mp4", b"x" * 300000))
    running = begin_upload(service, token, body[:280000], len(body), "Idempotency-Key: twin\r\n")
    wait_until(lambda: jobs_query(service, "SELECT 1 FROM conversion WHERE idempotency_key='twin'"),
               what="the upload's row")
    answer = service.upload(token, b"x", headers=key)
    assert (answer.status, answer.code) == (409, "in_progress")
    assert int(answer.headers["Retry-After"]) > 0
    running.sendall(body[280000:])
    assert read_answer(running).startswith(b"HTTP/1.1 201 ")
    running.close()
    assert service.upload(token, b"x", headers=key).status == 201


@pytest.mark.parametrize("key", ["x" * 129, "gr\u00fcn"])
def test_an_odd_idempotency_key_is_refused(service, token, key):
    answer = service.upload(token, b"x", headers={"Idempotency-Key": key})
    assert (answer.status, answer.code) == (400, "invalid_idempotency_key")


def test_a_client_that_vanishes_leaves_nothing_and_frees_its_key(service, token):
    body, _ = form(("file", "a.mp4", b"x" * 600000))
    connection = begin_upload(service, token, body[:550000], len(body), "Idempotency-Key: gone\r\n")
    row = "SELECT id FROM conversion WHERE idempotency_key='gone'"
    identifier = wait_until(lambda: jobs_query(service, row), what="the row")[0][0]
    wait_until(lambda: has_blob(service, identifier), what="the first bytes to be stored")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    wait_until(lambda: state_of(service, identifier) in ("deleting", "deleted"), what="the taking back")
    wait_until(lambda: not has_blob(service, identifier), what="the bytes to go")
    assert service.upload(token, b"x", headers={"Idempotency-Key": "gone"}).status == 201


def test_a_gateway_that_is_killed_during_an_upload_leaves_nothing(new_service):
    service = new_service().start()
    token = service.user("ann@example.org")
    body, _ = form(("file", "a.mp4", b"x" * 600000))
    connection = begin_upload(service, token, body[:550000], len(body))
    identifier = wait_until(lambda: jobs_query(service, "SELECT id FROM conversion"), what="row")[0][0]
    wait_until(lambda: has_blob(service, identifier), what="the first bytes to be stored")
    service.kill()
    connection.close()
    jobs_query(service, "UPDATE conversion SET wake_at=1 WHERE id=?", identifier)
    service.start()
    wait_until(lambda: state_of(service, identifier) == "deleted", what="the sweep")
    assert blob_names(service) == set()


def test_the_trace_of_the_caller_is_kept(service, token):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    kept = service.upload(token, b"x", headers={"traceparent": trace}).json["id"]
    made = service.upload(token, b"x", headers={"traceparent": "nonsense"}).json["id"]
    query = "SELECT traceparent FROM conversion WHERE id=?"
    assert jobs_query(service, query, kept) == [(trace,)]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", jobs_query(service, query, made)[0][0])
    assert f"conversion={kept}" in service.log()


def test_uploads_are_counted(service, token):
    series = 'unreel_uploads_total{outcome="accepted"}'
    before = metric(service, series)
    assert service.upload(token, b"x").status == 201
    assert metric(service, series) == before + 1

