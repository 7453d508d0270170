"""The whole service while its database restarts, dies, freezes and loses answers: what was answered 201
becomes ready, once, with one mail."""
import select
import socket
import threading
import time
from collections import Counter

import pytest

from media import long_video
from oracle import check_all, rows
from servers import HOST, MariaDB
from service import Service, is_sanitized, wait_until

pytestmark = pytest.mark.distributed
THREADS = 4


class Crowd:
    """Users who upload one video after the other, each until it has its 201, by Idempotency-Key. One
    that is cut off keeps its key for two minutes, and they go on without it."""

    def __init__(self, service: Service, token: str, content: bytes):
        self.service, self.token, self.content = service, token, content
        self.accepted, self.answers = [], Counter()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def run(self, number: int):
        count = 0
        while not self.ended.is_set():
            count += 1
            while not self.upload(f"upload-{number}-{count}"):
                time.sleep(0.3)
            time.sleep(0.5)

    def upload(self, key: str) -> bool:
        try:
            answer = self.service.upload(self.token, self.content, f"{key}.mp4",
                                         headers={"Idempotency-Key": key})
        except OSError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[answer.status if answer.status == 201 else (answer.status, answer.code)] += 1
        if answer.status == 201:
            self.accepted.append(answer.json["id"])
        return answer.status in (201, 409)

    def wait_for_more(self, count: int = 4):
        before = len(self.accepted)
        wait_until(lambda: len(self.accepted) >= before + count, 240, what="uploads to go on")

    def end(self) -> list[str]:
        self.ended.set()
        for thread in self.threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self.threads), self.answers
        return self.accepted


def check_the_end(service: Service, token: str, crowd: Crowd, faults: str):
    identifiers = crowd.accepted
    assert len(set(identifiers)) == len(identifiers)
    refusals = {answer for answer in crowd.answers if isinstance(answer, tuple)}
    assert {status for status, _ in refusals} <= {409, 503}, crowd.answers
    service.wait_until_ready(120)
    for identifier in identifiers:
        service.wait_for(token, identifier, "ready", 240)
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 240,
               what="all letters to be sent")
    assert [len(service.mails(each)) for each in identifiers] == [1] * len(identifiers)
    # As if the two minutes of the uploads that were cut off had passed.
    rows(service, "UPDATE conversion SET wake_at=1 WHERE state='receiving'")
    wait_until(lambda: not rows(service, "SELECT id FROM conversion WHERE state IN"
                                         " ('receiving', 'deleting')"), 120, 1,
               what="uploads that were cut off to be swept")
    check_all(service)
    again = rows(service, "SELECT COALESCE(SUM(attempt-1), 0) FROM conversion"
                          " WHERE state='ready'")[0][0]
    twice = service.mail_copies(identifiers) - len(identifiers)
    print(f"# {faults}; {len(identifiers)} uploads accepted, 0 lost, 0 stuck, {again} attempts begun "
          f"again, {twice} mails twice; answers: {dict(crowd.answers)}")


def start(service: Service, media_dir) -> tuple[Service, str, Crowd]:
    video = long_video(media_dir / "faults.mp4", 60 if not is_sanitized() else 30)
    service.start()
    token = service.user("anna@example.org")
    crowd = Crowd(service, token, video.read_bytes())
    return service, token, crowd


def test_a_database_that_restarts_dies_and_freezes_costs_nothing_but_time(new_service, own_server,
                                                                         media_dir):
    server = own_server(MariaDB)
    service, token, crowd = start(new_service(own=[server]), media_dir)
    try:
        crowd.wait_for_more()
        server.restart()
        crowd.wait_for_more()
        server.kill()
        time.sleep(2)
        server.start()
        crowd.wait_for_more()
        server.freeze()
        time.sleep(20)
        server.thaw()
        crowd.wait_for_more()
    finally:
        server.thaw()
        crowd.end()
    check_the_end(service, token, crowd, "restarted, killed, frozen 20 s")


# ---- answers lost

COMMIT = b"\x07\0\0\0\x03COMMIT"
EXECUTE = 0x17


class LossyMariaDB(MariaDB):
    """Behind a proxy that loses the answer to each 5th COMMIT and each 50th other statement: the
    server has done it, the connection ends in place of the answer."""

    def start(self):
        super().start()
        self.counts, self.lost = Counter(), Counter()
        self.is_lossy = False
        self.lock = threading.Lock()
        self.listener = socket.create_server((HOST, 0))
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def variables(self):
        return {"UNREEL_TEST_MYSQL": self.url().replace(f":{self.port}",
                                                        f":{self.listener.getsockname()[1]}")}

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def is_to_be_lost(self, data: bytes) -> str | None:
        kind = "COMMIT" if COMMIT in data else "statement" if data[3:5] == bytes([0, EXECUTE]) else None
        with self.lock:
            self.counts[kind] += 1
            if not self.is_lossy or kind is None or self.counts[kind] % (5 if kind == "COMMIT" else 50) != 0:
                return None
            self.lost[kind] += 1
        return kind

    def carry(self, client: socket.socket):
        with client, socket.create_connection((HOST, self.port)) as server:
            is_losing = None
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    try:
                        data = ready.recv(65536)
                    except OSError:
                        return
                    if not data or (ready is server and is_losing):
                        return
                    if ready is client:
                        is_losing = self.is_to_be_lost(data)
                    (server if ready is client else client).sendall(data)


def test_answers_that_are_lost_lose_and_double_nothing(new_service, own_server, media_dir):
    server = own_server(LossyMariaDB)
    service, token, crowd = start(new_service(own=[server]), media_dir)
    try:
        server.is_lossy = True
        crowd.wait_for_more(20)
    finally:
        crowd.end()
    wait_until(lambda: not rows(service, "SELECT id FROM conversion WHERE state IN"
                                         " ('queued', 'converting')"), 240, 1, what="all to end")
    server.is_lossy = False
    check_the_end(service, token, crowd, f"answers lost: {dict(server.lost)}")
    assert server.lost["COMMIT"] >= 10 and server.lost["statement"] >= 10
