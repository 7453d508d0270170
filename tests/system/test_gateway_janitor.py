"""The sweeps: what is due goes, what dead attempts left goes, what nobody knows stays."""
import uuid

import pytest

from gateway_client import blob_names, has_blob, jobs_query, metric, state_of
from service import wait_until


@pytest.fixture(scope="module")
def service(module_service):
    return module_service(settings={"UNREEL_COLLECT_INTERVAL": "1s"}).start()


@pytest.fixture
def token(service) -> str:
    return service.user(f"{uuid.uuid4().hex}@example.org")


def test_an_expired_conversion_goes_with_all_its_bytes(service, token, video):
    identifier = service.upload(token, video).json["id"]
    service.wait_for(token, identifier, "ready")
    assert has_blob(service, identifier)
    jobs_query(service, "UPDATE conversion SET wake_at=1 WHERE id=?", identifier)
    wait_until(lambda: state_of(service, identifier) == "deleted", what="the sweep")
    assert not has_blob(service, identifier)
    wait_until(lambda: metric(service, 'unreel_sweeps_total{kind="deleted"}') >= 1, what="the count")


def test_a_tombstone_is_forgotten_after_its_time(service, token):
    identifier = service.upload(token, b"x").json["id"]
    service.request("DELETE", f"/api/v1/conversions/{identifier}", token=token)
    wait_until(lambda: state_of(service, identifier) == "deleted", what="the tombstone")
    jobs_query(service, "UPDATE conversion SET wake_at=1, updated_at=1 WHERE id=?", identifier)
    wait_until(lambda: not jobs_query(service, "SELECT 1 FROM conversion WHERE id=?", identifier),
               what="the row to go")


def test_what_a_dead_attempt_left_is_collected_and_the_result_stays(service, token, video):
    identifier = service.upload(token, video).json["id"]
    service.wait_for(token, identifier, "ready")
    jobs_query(service, "UPDATE conversion SET attempt=7 WHERE id=?", identifier)
    left = f"audio/{identifier}/5"
    service.blobs.plant(left)
    wait_until(lambda: left not in blob_names(service), what="the leavings to be collected")
    audio = service.request("GET", f"/api/v1/conversions/{identifier}/audio", token=token)
    assert audio.status == 200


def test_a_blob_that_no_row_knows_is_counted_and_left(service, token):
    service.upload(token, b"x")
    unknown = "source/01J00000000000000000000000"
    service.blobs.plant(unknown)
    wait_until(lambda: metric(service, "unreel_blobs_unknown") == 1, what="the gauge")
    assert unknown in service.blobs.keys()


def test_the_gauges_follow_the_table(service, token):
    ready = jobs_query(service, "SELECT COUNT(*) FROM conversion WHERE state='ready'")[0][0]
    wait_until(lambda: metric(service, 'unreel_conversions{state="ready"}') == ready, what="the gauge")
    assert metric(service, 'unreel_conversions{state="receiving"}') == 0
