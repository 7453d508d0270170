"""What the service needs goes away and comes back: 503 meanwhile, then everything by itself."""
import fcntl
import sqlite3
import time

import pytest

from oracle import check_all, rows
from service import Service, wait_until

# These reach into the store's files and the file of the database.
pytestmark = pytest.mark.one_machine


@pytest.fixture
def service(new_service) -> Service:
    return new_service(settings={"UNREEL_COLLECT_INTERVAL": "1s"}).start()


def upload_for(service: Service, token: str, video, seconds: float) -> tuple[list[str], set[int]]:
    """Uploads one after the other for that long; the accepted ids and all statuses."""
    accepted, statuses = [], set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = service.upload(token, video)
        statuses.add(answer.status)
        if answer.status == 201:
            accepted.append(answer.json["id"])
        assert answer.status in (201, 503), answer.body
        assert answer.status == 201 or int(answer.headers["Retry-After"]) > 0
        time.sleep(0.5)
    return accepted, statuses


def check_nothing_was_lost(service: Service, token: str, identifiers: list[str]):
    wait_until(service.is_ready, 60, what="all roles to be ready")
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 120)
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 60,
               what="all mails")
    assert [len(service.mails(each)) for each in identifiers] == [1] * len(identifiers)
    check_all(service)


def test_a_blob_store_that_vanishes_is_not_made_anew_and_loses_nothing(service, video):
    token = service.user("anna@example.org")
    before = [service.upload(token, video).json["id"] for _ in range(6)]
    store, aside = service.data / "blobs", service.data / "blobs-unmounted"
    store.rename(aside)
    store.mkdir()  # what is left of a disk that is not mounted
    accepted, statuses = upload_for(service, token, video, 20)
    assert (accepted, statuses) == ([], {503})
    assert not service.is_ready()
    assert not list(store.iterdir())
    store.rmdir()
    aside.rename(store)
    # At most what was running then has spent anything.
    assert rows(service, "SELECT MAX(failures) FROM conversion")[0][0] <= 1
    after = wait_until(lambda: upload_for(service, token, video, 0.1)[0], 30, what="an upload")
    check_nothing_was_lost(service, token, before + after)


def test_a_locked_database_only_delays(service, video):
    token = service.user("ben@example.org")
    before = [service.upload(token, video).json["id"] for _ in range(3)]
    with sqlite3.connect(service.data / "jobs.db", isolation_level=None) as database:
        database.execute("BEGIN EXCLUSIVE")
        during, statuses = upload_for(service, token, video, 15)
        database.execute("ROLLBACK")
    assert 503 in statuses
    after, statuses = upload_for(service, token, video, 1)
    assert statuses == {201}
    check_nothing_was_lost(service, token, before + during + after)


def test_a_conversion_that_cannot_be_deleted_does_not_keep_those_behind_it(service):
    token = service.user("cleo@example.org")
    identifiers = [service.upload(token, b"x").json["id"] for _ in range(4)]
    for identifier in identifiers:
        service.wait_for(token, identifier, "failed")
    stuck = service.data / "blobs/incoming" / f"source_{identifiers[0]}"
    stuck.mkdir()
    with open(stuck / "data", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a writer would that goes on
        with sqlite3.connect(service.data / "jobs.db", timeout=30) as database:
            for i, identifier in enumerate(identifiers):
                database.execute("UPDATE conversion SET wake_at=? WHERE id=?", (1 + i, identifier))
        wait_until(lambda: rows(service, "SELECT COUNT(*) FROM conversion WHERE state='deleted'")
                   == [(3,)], 30, what="the others to be deleted")
        assert rows(service, "SELECT id FROM conversion WHERE state='deleting'") == \
            [(identifiers[0],)]
