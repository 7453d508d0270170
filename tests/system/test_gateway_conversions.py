"""Conversions as their owner sees and steers them: list, one, wait, delete, retry, mail again."""
import threading
import uuid

import pytest

from gateway_client import has_blob, jobs_query, state_of, stopped
from service import wait_until

NOBODYS_ID = "01J00000000000000000000000"


@pytest.fixture
def token(service) -> str:
    return service.user(f"{uuid.uuid4().hex}@example.org")


@pytest.fixture
def resting(service):
    """The converters stand still, so what is queued stays queued."""
    with stopped(service.children("converter")):
        yield


def get(service, token, path: str):
    return service.request("GET", path, token=token)


def failed_conversion(service, token) -> str:
    identifier = service.upload(token, b"no video").json["id"]
    service.wait_for(token, identifier, "failed")
    return identifier


def test_the_list_is_newest_first_and_in_pages(service, token, resting):
    ids = [service.upload(token, b"x", f"{i}.mp4").json["id"] for i in range(5)]
    first = get(service, token, "/api/v1/conversions?limit=2").json
    assert [item["id"] for item in first["items"]] == [ids[4], ids[3]]
    assert first["next"] == ids[3] and first["as_of"].endswith("Z")
    second = get(service, token, f"/api/v1/conversions?limit=2&cursor={first['next']}").json
    assert [item["name"] for item in second["items"]] == ["2.mp4", "1.mp4"]
    last = get(service, token, f"/api/v1/conversions?limit=2&cursor={second['next']}").json
    assert [item["id"] for item in last["items"]] == [ids[0]] and last["next"] is None
    exact = get(service, token, "/api/v1/conversions?limit=5").json
    assert len(exact["items"]) == 5 and exact["next"] is None


def test_an_empty_list_is_empty(service, token):
    answer = get(service, token, "/api/v1/conversions").json
    assert answer["items"] == [] and answer["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=two", "limit=", "cursor=x",
                                   f"cursor={NOBODYS_ID.lower()}", "limit=1.5", "limit=-1"])
def test_odd_parameters_of_the_list_are_refused(service, token, query):
    answer = get(service, token, f"/api/v1/conversions?{query}")
    assert (answer.status, answer.code) == (400, "invalid_parameter")


@pytest.mark.parametrize("method, tail", [
    ("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("POST", "/letter"), ("POST", "/links"),
    ("GET", "/audio")])
def test_others_conversions_unknown_and_malformed_ids_do_not_exist(service, token, method, tail):
    others = service.upload(service.user(f"{uuid.uuid4().hex}@example.org"), b"x").json["id"]
    for identifier in (others, NOBODYS_ID, "1", NOBODYS_ID + "0", NOBODYS_ID.lower()):
        answer = service.request(method, f"/api/v1/conversions/{identifier}{tail}", token=token)
        assert (answer.status, answer.code) == (404, "not_found"), identifier
    assert state_of(service, others) != "deleting"


def test_a_wait_ends_with_the_conversion(service, token, video):
    identifier = service.upload(token, video).json["id"]
    answer = get(service, token, f"/api/v1/conversions/{identifier}?wait=60")
    assert answer.status == 200 and answer.json["state"] == "ready"


def test_a_wait_holds_no_worker_and_ends_with_its_time(service, token, resting):
    identifier = service.upload(token, b"x").json["id"]
    answers = []

    def wait():
        answers.append(get(service, token, f"/api/v1/conversions/{identifier}?wait=3"))

    threads = [threading.Thread(target=wait) for _ in range(40)]
    for thread in threads:
        thread.start()
    # There are fewer workers than waits.
    assert get(service, token, "/api/v1/account").status == 200
    assert answers == [], "the waits are still going on"
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 40
    assert {answer.json["state"] for answer in answers} == {"queued"}


def test_a_wait_ends_when_the_conversion_is_deleted(service, token, resting):
    identifier = service.upload(token, b"x").json["id"]
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        get(service, token, f"/api/v1/conversions/{identifier}?wait=60")))
    thread.start()
    assert service.request("DELETE", f"/api/v1/conversions/{identifier}", token=token).status == 204
    thread.join()
    assert answers[0].status == 404


@pytest.mark.parametrize("wait", ["61", "-1", "x", "1.5", ""])
def test_an_odd_wait_is_refused(service, token, wait):
    answer = get(service, token, f"/api/v1/conversions/{NOBODYS_ID}?wait={wait}")
    assert (answer.status, answer.code) == (400, "invalid_parameter")


def test_a_deleted_conversion_is_gone_at_once_and_its_bytes_soon(service, token, resting):
    identifier = service.upload(token, b"x").json["id"]
    path = f"/api/v1/conversions/{identifier}"
    assert has_blob(service, identifier)
    answer = service.request("DELETE", path, token=token)
    assert (answer.status, answer.body) == (204, b"")
    assert service.request("DELETE", path, token=token).status == 404
    assert get(service, token, path).status == 404
    assert get(service, token, "/api/v1/conversions").json["items"] == []
    wait_until(lambda: not has_blob(service, identifier), what="the source to be removed")
    wait_until(lambda: state_of(service, identifier) == "deleted", what="the tombstone")
    assert get(service, token, "/api/v1/account").json["quota"]["bytes_used"] == 0


def test_a_failed_conversion_can_be_tried_again(service, token):
    identifier = failed_conversion(service, token)
    with stopped(service.children("converter")):
        answer = service.request("POST", f"/api/v1/conversions/{identifier}/retry", token=token)
        assert answer.status == 202
        assert answer.json["state"] == "queued" and answer.json["error"] is None
        again = service.request("POST", f"/api/v1/conversions/{identifier}/retry", token=token)
        assert (again.status, again.code) == (409, "not_failed")
    service.wait_for(token, identifier, "failed")


def test_a_retry_without_the_video_is_refused(service, token):
    identifier = failed_conversion(service, token)
    jobs_query(service, "UPDATE conversion SET source_key='' WHERE id=?", identifier)
    answer = service.request("POST", f"/api/v1/conversions/{identifier}/retry", token=token)
    assert (answer.status, answer.code) == (409, "source_gone")


def test_the_mail_can_be_asked_for_again_but_not_for_ever(service, token):
    identifier = failed_conversion(service, token)
    path = f"/api/v1/conversions/{identifier}/letter"
    statuses = [service.request("POST", path, b"{}", token=token).status for _ in range(8)]
    assert statuses[0] == 202 and set(statuses) == {202, 429}
    assert statuses == sorted(statuses)
    refused = service.request("POST", path, token=token)
    assert refused.code == "too_many_letters"
    assert refused.headers.get_all("Retry-After") == ["3600"]
    wait_until(lambda: len(service.mails(identifier)) == 1 + statuses.count(202),
               what="the first mail and those that were asked for")


def test_no_mail_about_what_is_not_finished(service, token, resting):
    identifier = service.upload(token, b"x").json["id"]
    answer = service.request("POST", f"/api/v1/conversions/{identifier}/letter", token=token)
    assert (answer.status, answer.code) == (409, "not_finished")
