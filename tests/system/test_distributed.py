"""Several of each role over real servers: any of them can do the next step of anything."""
import re
from collections import Counter

import pytest

from gateway_client import metric, stopped
from media import long_video
from oracle import check_all, rows
from service import PASSWORD, wait_until

pytestmark = pytest.mark.distributed

TWO_OF_EACH = {"gateways": 2, "auths": 2, "converters": 2, "notifiers": 2}


def converted_by(service) -> Counter:
    """How many conversions each converter has finished, by its pid."""
    return Counter(int(worker.rsplit(":", 1)[1]) for worker, in rows(
        service, "SELECT worker FROM conversion WHERE state='ready'"))


def test_each_step_of_a_job_may_meet_another_process(new_service, video):
    service = new_service(**TWO_OF_EACH).start()
    one, other = service.ports
    account = {"email": "anna@example.org", "password": PASSWORD}
    assert service.request("POST", "/api/v1/accounts", account, port=one).status == 201
    tokens = service.request("POST", "/api/v1/sessions", account, port=other).json
    token = tokens["access_token"]
    identifiers = [service.upload(token, video, port=port).json["id"] for port in (one, other) * 4]
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready")
        audio = [service.request("GET", f"/api/v1/conversions/{identifier}/audio", token=token,
                                 port=port) for port in (one, other)]
        assert [answer.status for answer in audio] == [200, 200]
        assert audio[0].body == audio[1].body
    assert set(converted_by(service)) == set(service.children("converter"))
    mails = [wait_until(lambda i=each: service.mails(i), what="the mail") for each in identifiers]
    assert [len(each) for each in mails] == [1] * len(identifiers)
    link = re.search(r"https?://\S+(/d/\S+)", mails[0][0])[1]
    assert [service.request("GET", link, port=port).status for port in (one, other)] == [200, 200]

    refresh = {"refresh_token": tokens["refresh_token"]}
    pair = service.request("POST", "/api/v1/sessions/refresh", refresh, port=one).json
    assert service.request("DELETE", "/api/v1/sessions/current", token=pair["access_token"],
                           port=other).status == 204
    again = service.request("POST", "/api/v1/sessions/refresh",
                            {"refresh_token": pair["refresh_token"]}, port=one)
    assert (again.status, again.code) == (401, "invalid_refresh_token")
    check_all(service)


def test_a_converter_that_comes_while_work_waits_gets_its_share(new_service, media_dir):
    video = long_video(media_dir / "minute.mp4", 60)
    service = new_service(converters=1).start()
    token = service.user("ben@example.org")
    first, = service.children("converter")
    with stopped([first]):
        identifiers = [service.upload(token, video).json["id"] for _ in range(10)]
        second = service.add_converter()
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 240)
    done = converted_by(service)
    assert set(done) == {first, second} and sum(done.values()) == 10
    assert min(done.values()) >= 2, done
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 60,
               what="all mails")
    check_all(service)


def test_a_release_that_replaces_every_process_in_turn_loses_nothing(new_service, video):
    service = new_service(**TWO_OF_EACH, settings={"UNREEL_COLLECT_INTERVAL": "1s"}).start()
    token = service.user("cleo@example.org")
    identifiers = []
    for number, role in enumerate(service.roles):
        identifiers += [service.upload(token, video, port=port).json["id"] for port in service.ports]
        before = role.process
        before.terminate()
        # Whoever comes to the other gateway meanwhile notices nothing.
        other = service.ports[1 if role.name == "gateway-1" else 0]
        identifiers.append(service.upload(token, video, port=other).json["id"])
        assert before.wait(60) == 0, role.name
        wait_until(service.is_ready, 60, what=f"{role.name} to be replaced")
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 120)
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 60,
               what="all mails")
    assert service.mail_copies(identifiers) == len(identifiers) == 3 * len(service.roles)
    assert rows(service, "SELECT SUM(failures), SUM(crashes) FROM conversion") == [(0, 0)]
    assert [role.deaths for role in service.roles] == [1] * len(service.roles)
    check_all(service)


def test_hints_reach_the_roles_through_the_broker(new_service, video):
    service = new_service().start()
    token = service.user("dora@example.org")
    for _ in range(3):
        service.wait_for(token, service.upload(token, video).json["id"], "ready")
    wait_until(lambda: metric(service, 'unreel_hints_total{outcome="sent"}') == 3,
               what="the count of hints")
    wait_until(lambda: service.waiting_hints() == {"video": 0, "mp3": 0, "hints.dead": 0},
               what="every hint to be settled")
