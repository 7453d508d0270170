"""The whole service on a MongoDB that loses its primaries, and all of its members, under load."""
import hashlib
import http.client
import os
import random
import sys
import threading
import time
from pathlib import Path

import pymongo
import pytest
from service import wait_until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers  # noqa: E402

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


class Load:
    """Uploads and downloads without a pause; every answer is looked at."""

    def __init__(self, service, token: str, video: bytes):
        self.service, self.token = service, token
        # A box that nobody reads makes some uploads long enough to be hit in the middle.
        free = os.urandom(6 << 20)
        self.videos = [video, video + (len(free) + 8).to_bytes(4, "big") + b"free" + free]
        self.accepted, self.wrong = [], []
        self.refused = self.downloaded = self.broken = 0
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(step,))
                        for step in (self.upload, self.upload, self.download)]
        for thread in self.threads:
            thread.start()

    def run(self, step):
        while not self.is_over.is_set():
            try:
                step()
            except (OSError, http.client.HTTPException):
                self.broken += 1
            time.sleep(0.05)

    def upload(self):
        answer = self.service.upload(self.token, random.choice(self.videos))
        if answer.status == 201:
            self.accepted.append(answer.json["id"])
        else:
            self.refused += 1
            if answer.status not in (429, 503):
                self.wrong.append((answer.status, answer.body))

    def download(self):
        if not self.accepted:
            return
        identifier = random.choice(self.accepted)
        conversion = self.service.conversion(self.token, identifier)
        if conversion["state"] != "ready":
            return
        answer = self.service.request("GET", f"/api/v1/conversions/{identifier}/audio",
                                      token=self.token)
        if answer.status == 200:
            self.downloaded += 1
            if hashlib.sha256(answer.body).hexdigest() != conversion["audio"]["sha256"]:
                self.wrong.append((identifier, len(answer.body)))
        elif answer.status != 503:
            self.wrong.append((answer.status, answer.body))

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(120)


def grows(load: Load):
    """Waits until more uploads are accepted and more downloads right than now."""
    accepted, downloaded = len(load.accepted), load.downloaded
    wait_until(lambda: len(load.accepted) >= accepted + 3 and load.downloaded >= downloaded + 3,
               120, what="the service to go on")


def keys(database, collection: str) -> set:
    return {document["_id"] for document in database[collection].find({}, {"_id": 1})}


def test_nothing_accepted_is_lost_whatever_dies_in_mongodb(new_service, video, tmp_path):
    with servers.MongoDB(tmp_path / "mongodb", members=3) as cluster:
        # A source whose removal met an outage is left to the sweep.
        service = new_service(settings={"UNREEL_BLOBS": cluster.url("unreel"),
                                        "UNREEL_COLLECT_INTERVAL": "2s"}).start()
        token = service.user("anna@example.org")
        load = Load(service, token, video.read_bytes())
        try:
            grows(load)
            for _ in range(2):
                primary = cluster.primary()
                primary.kill()
                grows(load)
                primary.start()
                cluster.wait()
            cluster.kill()
            wait_until(lambda: service.admin(0, "/readyz").status == 503, 60,
                       what="the gateway to notice")
            cluster.start()
            grows(load)
        finally:
            load.end()
        assert load.wrong == []
        print(f"{len(load.accepted)} accepted, {load.refused} refused, {load.broken} broken off, "
              f"{load.downloaded} downloads")
        ready = {i: service.wait_for(token, i, "ready", 240) for i in load.accepted}

        # And what is left in the store is exactly what the users have.
        inside = pymongo.MongoClient(cluster.url())["unreel"]
        listed = service.request("GET", "/api/v1/conversions?limit=100", token=token).json["items"]
        known = {item["id"] for item in listed} | set(ready)
        wait_until(lambda: not keys(inside, "videos.files") and len(keys(inside, "mp3s.files")) >=
                   len(ready), 60, what="the sources to be removed")
        mp3s = keys(inside, "mp3s.files")
        assert {key.split("/")[1] for key in mp3s} >= set(ready)
        assert {key.split("/")[1] for key in mp3s} <= known
        for bucket in ("videos", "mp3s"):
            owners = keys(inside, bucket + ".files") | keys(inside, bucket + ".unfinished")
            assert set(inside[bucket + ".chunks"].distinct("files_id")) <= owners
        for identifier, conversion in list(ready.items())[:5]:
            answer = service.request("GET", f"/api/v1/conversions/{identifier}/audio", token=token)
            assert hashlib.sha256(answer.body).hexdigest() == conversion["audio"]["sha256"]
