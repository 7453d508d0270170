"""kill -9 of anything at any moment: every upload that was answered 201 becomes ready, one mail each."""
import os
import random
import signal
import sqlite3
import threading
import time

from service import Service, is_sanitized, wait_until

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
                answer = self.service.upload(self.token, self.content, f"video {self.number}.mp4",
                                             headers={"Idempotency-Key": f"upload-{self.number}"})
                if answer.status == 201:
                    self.identifier = answer.json["id"]
            except OSError:
                pass
            time.sleep(0.2)


def kill_at_random(service: Service, rounds: int, chance: random.Random):
    """Kills one process a round; the supervisor too, which is then started again."""
    for _ in range(rounds):
        time.sleep(chance.uniform(0.1, 0.8))
        role = chance.choice(["gateway", "auth", "converter", "converter", "notifier", "serve"])
        if role == "serve":
            service.kill()
            service.start()
            continue
        pids = service.children(role)
        if pids:
            try:
                os.kill(chance.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass


def rows(service: Service, statement: str) -> list:
    with sqlite3.connect(f"file:{service.data}/jobs.db?mode=ro", uri=True) as database:
        return database.execute(statement).fetchall()


def leavings(service: Service) -> list[str]:
    """Blobs that no row names, and unfinished ones."""
    named = {key for row in rows(service, "SELECT source_key, audio_key FROM conversion")
             for key in row if key}
    blobs = service.data / "blobs"
    found = []
    for meta in blobs.rglob("meta.json"):
        key = str(meta.parent.relative_to(blobs))
        if key.startswith("incoming") or key not in named:
            found.append(key)
    incoming = blobs / "incoming"
    found += [str(p) for p in incoming.iterdir()] if incoming.exists() else []
    scratch = service.data / "scratch"
    return found + [str(p) for p in scratch.rglob("*") if scratch.exists()]


LEGAL = {(None, "receiving"), ("", "receiving"), ("receiving", "queued"), ("receiving", "deleting"),
         ("queued", "converting"), ("converting", "converting"), ("converting", "ready"),
         ("converting", "failed"), ("converting", "queued"), ("deleting", "deleted"),
         ("queued", "failed")}


def check_the_end(service: Service, token: str, identifiers: list[str]):
    wait_until(service.is_ready, 60, what="all roles to be back")
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 240)
    for identifier in identifiers:
        wait_until(lambda i=identifier: service.mails(i), 240, what=f"the mail about {identifier}")
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 120,
               what="all letters to be sent")
    assert all(len(service.mails(each)) == 1 for each in identifiers)
    illegal = set(rows(service, "SELECT from_state, to_state FROM event")) - LEGAL
    assert not illegal
    wait_until(lambda: not leavings(service), 60, 0.5, what=f"leavings to go: {leavings(service)}")


def test_kill_9_of_every_process_loses_nothing(new_service, video):
    seed = int(os.environ.get("SEED", "20"))
    service = new_service(settings={"UNREEL_COLLECT_INTERVAL": "2s"}).start()
    token = service.user("anna@example.org")
    uploaders = [Uploader(service, token, video.read_bytes(), i) for i in range(UPLOADS)]
    for each in uploaders:
        each.start()
    kill_at_random(service, 12 if is_sanitized() else 20, random.Random(seed))
    for each in uploaders:
        each.join(120)
    identifiers = [each.identifier for each in uploaders]
    assert None not in identifiers and len(set(identifiers)) == UPLOADS
    check_the_end(service, token, identifiers)


def test_without_any_hint_all_jobs_still_finish(new_service, video):
    service = new_service(settings={"UNREEL_QUEUE": "none:"}).start()
    token = service.user("ben@example.org")
    identifiers = [service.upload(token, video).json["id"] for _ in range(4)]
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 120)
        wait_until(lambda i=identifier: len(service.mails(i)) == 1, 60, what="the mail")


def test_sigterm_gives_running_work_back_without_spending_its_budget(new_service, media_dir):
    from media import make_video
    long_video = make_video(media_dir / "long.mp4", 900 if not is_sanitized() else 120, "64x64")
    service = new_service().start()
    token = service.user("cleo@example.org")
    identifier = service.upload(token, long_video).json["id"]
    service.wait_for(token, identifier, "converting")
    assert service.stop() == 0
    assert rows(service, f"SELECT state, failures FROM conversion WHERE id='{identifier}'") == \
        [("queued", 0)]
    service.start()
    service.wait_for(token, identifier, "ready", 240)
    assert len(wait_until(lambda: service.mails(identifier), what="the mail")) == 1
