"""kill -9 of anything at any moment: every upload that was answered 201 becomes ready, one mail each."""
import os
import random
import signal
import threading
import time
from collections import Counter

import pytest

from media import long_video
from oracle import check_all, media_children, rows
from service import Service, command_line, is_sanitized, media_children_of, wait_until

UPLOADS = 12


class Uploader(threading.Thread):
    """Uploads until it has its 201, as a client with an Idempotency-Key would."""

    def __init__(self, service: Service, token: str, content: bytes, number: int):
        super().__init__()
        self.service, self.token, self.content, self.number = service, token, content, number
        self.identifier = None

    def run(self):
        while self.identifier is None:
            try:
                answer = self.service.upload(
                    self.token, self.content, f"video {self.number}.mp4",
                    headers={"Idempotency-Key": f"upload-{self.number}"},
                    port=self.service.ports[self.number % len(self.service.ports)])
                if answer.status == 201:
                    self.identifier = answer.json["id"]
            except OSError:
                pass
            time.sleep(0.2)


class Killer:
    """Kills one process a round; the supervisor too, which is then started again."""

    def __init__(self, service: Service, chance: random.Random):
        self.service, self.chance = service, chance
        self.kills = Counter()
        self.crashed = set()

    def kill(self, kind: str, pids: list[int]):
        if pids:
            try:
                os.kill(self.chance.choice(pids), signal.SIGKILL)
                self.kills[kind] += 1
            except ProcessLookupError:
                pass

    def kill_media(self):
        """The child at work on a conversion that did not lose one yet: two crashes are a verdict."""
        for converter in self.service.children("converter"):
            at_work = "SELECT id FROM conversion WHERE state='converting' AND worker LIKE ?"
            before = rows(self.service, at_work, f"%:{converter}")
            children = media_children_of(converter)
            if before and before[0] not in self.crashed and children \
                    and rows(self.service, at_work, f"%:{converter}") == before:
                self.crashed.add(before[0])
                return self.kill("media", children)

    def run(self, rounds: int):
        kinds = ["gateway", "auth", "converter", "converter", "media", "media", "notifier", "serve"]
        for _ in range(rounds):
            time.sleep(self.chance.uniform(0.1, 0.8))
            kind = self.chance.choice(kinds)
            if kind == "serve":
                self.service.kill()
                self.kills[kind] += 1
                self.service.start()
            elif kind == "media":
                self.kill_media()
            else:
                self.kill(kind, self.service.children(kind))


def check_the_end(service: Service, token: str, identifiers: list[str], kills: Counter):
    wait_until(service.is_ready, 60, what="all roles to be back")
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 240)
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 240,
               what="all letters to be sent")
    assert [len(service.mails(each)) for each in identifiers] == [1] * len(identifiers)
    check_all(service)
    # Only a death between a mail and its note repeats a mail, and only a death repeats an attempt.
    repeated = rows(service, "SELECT COALESCE(SUM(attempt-1), 0) FROM letter")[0][0]
    assert repeated <= kills["notifier"] + kills["serve"]
    copies = service.mail_copies(identifiers) - len(identifiers)
    assert copies <= repeated
    attempts = rows(service, "SELECT COALESCE(SUM(attempt-1), 0) FROM conversion")[0][0]
    assert attempts <= kills["converter"] + kills["media"] + 2 * kills["serve"]
    print(f"# {len(identifiers)} uploads accepted, 0 lost, 0 stuck, 0 leavings; "
          f"{attempts} attempts and {repeated} mails begun again, {copies} mails twice; kills: {dict(kills)}")


@pytest.mark.slow
def test_kill_9_of_every_process_loses_nothing(mode, new_service, media_dir):
    seed = int(os.environ.get("SEED", "20"))
    video = long_video(media_dir / "minute.mp4", 90 if not is_sanitized() else 30)
    two = {"gateways": 2, "auths": 2, "notifiers": 2} if mode == "distributed" else {}
    service = new_service(settings={"UNREEL_COLLECT_INTERVAL": "2s"}, **two).start()
    token = service.user("anna@example.org")
    uploaders = [Uploader(service, token, video.read_bytes(), i) for i in range(UPLOADS)]
    for each in uploaders:
        each.start()
    killer = Killer(service, random.Random(seed))
    killer.run(16 if is_sanitized() else 24)
    for each in uploaders:
        each.join(300)  # an upload cut off by a kill keeps its key for two minutes
    identifiers = [each.identifier for each in uploaders]
    assert None not in identifiers and len(set(identifiers)) == UPLOADS
    check_the_end(service, token, identifiers, killer.kills)


@pytest.mark.slow
def test_a_converter_that_was_stopped_past_its_lease_changes_nothing(new_service, media_dir):
    video = long_video(media_dir / "ten-minutes.mp4", 600 if not is_sanitized() else 120)
    service = new_service(settings={"UNREEL_COLLECT_INTERVAL": "2s"}).start()
    token = service.user("dora@example.org")
    identifier = service.upload(token, video).json["id"]
    worker = wait_until(lambda: rows(service, "SELECT worker FROM conversion WHERE id=?"
                                              " AND state='converting'", identifier),
                        what="a converter")[0][0]
    sleeper = int(worker.rsplit(":", 1)[1])
    os.kill(sleeper, signal.SIGSTOP)
    assert command_line(sleeper)[1] == "converter"
    service.wait_for(token, identifier, "ready", 240)
    wait_until(lambda: rows(service, "SELECT id FROM letter WHERE state='sent'"), 60, what="the mail")
    facts = "SELECT state, revision, worker, attempt, failures, audio_key, audio_sha256 FROM conversion"
    before = rows(service, facts)
    assert before[0][2] != worker and before[0][3:5] == (2, 1)
    os.kill(sleeper, signal.SIGCONT)
    wait_until(service.is_ready, 60, what="the converter to be back")
    wait_until(lambda: not media_children_of(sleeper), 60, what="its child to be buried")
    assert sleeper in service.children("converter")
    check_all(service)
    assert rows(service, facts) == before
    assert len(service.mails(identifier)) == 1
    assert rows(service, "SELECT attempt FROM letter") == [(1,)]
    again = service.upload(token, video).json["id"]
    service.wait_for(token, again, "ready", 240)


def test_without_any_hint_all_jobs_still_finish(new_service, video):
    service = new_service(settings={"UNREEL_QUEUE": "none:"}).start()
    token = service.user("ben@example.org")
    identifiers = [service.upload(token, video).json["id"] for _ in range(4)]
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 120)
        wait_until(lambda i=identifier: len(service.mails(i)) == 1, 60, what="the mail")


@pytest.mark.one_machine
def test_sigterm_to_all_processes_at_once_is_no_crash(new_service, media_dir):
    """As systemd stops a service: whichever process hears of it first."""
    video = long_video(media_dir / "hour.mp4", 3600 if not is_sanitized() else 300)
    service = new_service().start()
    token = service.user("emil@example.org")
    identifier = service.upload(token, video).json["id"]
    child = wait_until(lambda: media_children(service), what="the media program")[0]
    os.kill(child, signal.SIGTERM)
    time.sleep(0.2)
    for pid in service.children():
        os.kill(pid, signal.SIGTERM)
    assert service.stop() == 0
    assert rows(service, "SELECT state, failures, crashes FROM conversion WHERE id=?", identifier) \
        == [("queued", 0, 0)]


def test_sigterm_gives_running_work_back_without_spending_its_budget(new_service, media_dir):
    video = long_video(media_dir / "long.mp4", 900 if not is_sanitized() else 300)
    service = new_service().start()
    token = service.user("cleo@example.org")
    identifier = service.upload(token, video).json["id"]
    service.wait_for(token, identifier, "converting")
    assert service.stop() == 0
    assert rows(service, "SELECT state, failures FROM conversion WHERE id=?", identifier) == \
        [("queued", 0)]
    service.start()
    service.wait_for(token, identifier, "ready", 240)
    assert len(wait_until(lambda: service.mails(identifier), what="the mail")) == 1
