"""Blobs in MongoDB when something happens to it between two calls, and as other drivers see them."""
import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import gridfs
import pymongo
import pytest
from service import BUILD

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers  # noqa: E402

CHUNK = 255 * 1024
BATCH = 4 * CHUNK  # what a writer holds back


class Probe:
    """One blob store in a process of its own (tests/support/blobs_probe.c)."""

    def __init__(self, url: str):
        self.process = subprocess.Popen([BUILD / "tests/support/blobs-probe", url], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> tuple[str, str]:
        line = self.process.stdout.readline()[:-1]
        kind, self.took_ms, self.resident_kib, text = line.split(" ", 3)
        return kind, text

    def __call__(self, *words) -> tuple[str, str]:
        self.send(*words)
        return self.answer()

    def ok(self, *words) -> str:
        kind, text = self(*words)
        assert kind == "ok", text
        return text

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(120) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with servers.MongoDB(tmp_path_factory.mktemp("mongodb")) as running:
        yield running


@pytest.fixture
def database(server, request):
    """The name of a database with a blob store in it."""
    name = request.node.name[:50]
    probe = Probe(server.url(name))
    probe.ok("make")
    probe.end()
    return name


@pytest.fixture
def probes():
    """A function that makes probes, ended at the end."""
    made = []

    def make(url: str) -> Probe:
        made.append(Probe(url))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """Ten batches and a bit of bytes that do not repeat."""
    path = tmp_path_factory.mktemp("source") / "bytes"
    path.write_bytes(os.urandom(10 * BATCH + 12345))
    return path


def digest(source: Path, size: int) -> str:
    return hashlib.sha256(source.read_bytes()[:size]).hexdigest()


def put(probe: Probe, key: str, source: Path, size: int) -> str:
    probe.ok("create", key)
    probe.ok("write", source, 0, size)
    sha256 = probe.ok("commit")
    assert sha256 == digest(source, size)
    return sha256


def connect(server, name: str):
    return pymongo.MongoClient(server.url(), serverSelectionTimeoutMS=30000)[name]


def left_behind(database) -> dict:
    """Documents of every collection that has some."""
    counts = {name: database[name].count_documents({}) for name in database.list_collection_names()}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, BATCH, 3 * BATCH + 4567])
def test_another_driver_reads_what_was_stored(server, database, probes, source, size):
    probe = probes(server.url(database))
    for key, bucket in (("source/A", "videos"), ("audio/A/1", "mp3s")):
        sha256 = put(probe, key, source, size)
        files = gridfs.GridFSBucket(connect(server, database), bucket)
        with files.open_download_stream(key) as stream:
            assert stream.length == size and stream.chunk_size == CHUNK
            assert stream.filename == key
            assert stream.metadata == {"key": key, "owner": "owner", "conversion": "conversion",
                                       "name": "name.mp4", "content_type": "video/mp4",
                                       "sha256": sha256}
            assert stream.read() == source.read_bytes()[:size]
        with files.open_download_stream_by_name(key) as stream:  # by the index of the specification
            stream.seek(size // 2)
            assert stream.read() == source.read_bytes()[size // 2:size]
        probe.ok("remove", key)
    assert left_behind(connect(server, database)) == {}


def test_what_another_driver_stored_with_larger_chunks_is_read(server, database, probes, source,
                                                               tmp_path):
    files = gridfs.GridFSBucket(connect(server, database), "videos", chunk_size_bytes=3 << 20)
    size = 7 << 20
    files.upload_from_stream_with_id("source/A", "source/A", source.read_bytes()[:size],
                                     metadata={"sha256": digest(source, size)})
    probe = probes(server.url(database))
    probe.ok("read", "source/A", tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == source.read_bytes()[:size]
    assert probe.ok("spool", "source/A", tmp_path) == digest(source, size)


def test_a_stale_writer_changes_nothing_wherever_it_was(server, database, probes, source):
    stale, new = probes(server.url(database)), probes(server.url(database))
    stale.ok("create", "source/A")
    stale.ok("write", source, 0, 5 * BATCH)
    assert new.ok("resume", "source/A") == str(5 * BATCH)
    new.ok("suspend")
    for verb in (("write", source, 5 * BATCH, BATCH), ("abort",)):
        kind, text = stale(*verb)
        assert kind == ("ok" if verb[0] == "abort" else "conflict"), text
    # One that is further on than the new one's end.
    stale.ok("resume", "source/A")
    new.ok("create", "source/A")
    new.ok("write", source, 0, 100)
    new.ok("commit")
    assert stale("write", source, 5 * BATCH, BATCH)[0] == "conflict"
    assert stale("commit")[0] != "ok"
    files = gridfs.GridFSBucket(connect(server, database), "videos")
    assert files.open_download_stream("source/A").read() == source.read_bytes()[:100]
    new.ok("remove", "source/A")
    assert left_behind(connect(server, database)) == {}


@pytest.mark.parametrize("file_is_left", [True, False])
def test_a_removal_that_was_cut_off_is_found_and_finished(server, database, probes, source,
                                                          file_is_left):
    probe, inside = probes(server.url(database)), connect(server, database)
    put(probe, "source/A", source, 3 * BATCH)
    # What stands there after its first step, and after its second.
    inside["videos.unfinished"].insert_one({"_id": "source/A", "writer": "who died", "bytes": 0})
    if not file_is_left:
        inside["videos.files"].delete_one({"_id": "source/A"})
    assert probe.ok("unfinished", "source/").split() == ["source/A"]
    probe.ok("remove", "source/A")
    assert probe.ok("unfinished", "source/") == ""
    assert left_behind(inside) == {}


def test_an_abort_that_was_cut_off_leaves_nothing_to_go_on_with(server, database, probes, source):
    probe = probes(server.url(database))
    probe.ok("create", "source/A")
    for _ in range(13):  # more chunks than go in one transaction
        probe.ok("write", source, 0, 10 * BATCH)
    with server.members[0].client() as client:
        client.admin.command("configureFailPoint", "failCommand", mode={"skip": 1}, data={
            "failCommands": ["commitTransaction"], "errorCode": 20})
        probe.ok("abort")
        client.admin.command("configureFailPoint", "failCommand", mode="off")
    assert probe.ok("unfinished", "source/").split() == ["source/A"]
    assert probe.ok("resume", "source/A") == "0"
    probe.ok("write", source, 0, BATCH + 5)
    assert probe.ok("commit") == digest(source, BATCH + 5)
    probe.ok("remove", "source/A")
    assert left_behind(connect(server, database)) == {}


def test_a_damaged_blob_is_never_given_out(server, database, probes, source, tmp_path):
    probe, inside = probes(server.url(database)), connect(server, database)
    put(probe, "source/A", source, 2 * BATCH)
    chunk = inside["videos.chunks"].find_one({"n": 3})
    inside["videos.chunks"].update_one({"n": 3}, {"$set": {"data": b"x" * CHUNK}})
    assert probe("spool", "source/A", tmp_path)[0] == "internal"
    inside["videos.chunks"].delete_one({"n": 3})
    for verb in (("spool", "source/A", tmp_path), ("read", "source/A", tmp_path / "read")):
        kind, text = probe(*verb)
        assert kind == "internal" and "chunk 3" in text
    inside["videos.chunks"].insert_one(chunk)
    assert probe.ok("spool", "source/A", tmp_path) == digest(source, 2 * BATCH)


def test_a_wrong_password_is_said_without_saying_it(server, database, probes):
    url = server.url(database).replace("mongodb://", "mongodb://anna:s3cret@")
    kind, text = probes(url)("ready")
    assert kind == "unavailable" and "s3cret" not in text
    assert "check the user, the password" in text


def test_in_a_crowd_each_writer_holds_back_one_chunk_at_most(server, database, probes, source):
    probe, inside = probes(server.url(database)), connect(server, database)["videos.unfinished"]
    probe.ok("create", "source/A")
    probe.ok("write", source, 0, 2 * CHUNK + 500)
    assert inside.find_one()["bytes"] == 0
    size = 3 * CHUNK + 1000
    probe.ok("crowd", 40, source, size)
    assert {key.get("bytes") for key in inside.find({"_id": {"$ne": "source/A"}})} == {3 * CHUNK}
    # Who held back more before the crowd came gives it away with its next whole chunk.
    probe.ok("write", source, 2 * CHUNK + 500, CHUNK)
    assert inside.find_one({"_id": "source/A"})["bytes"] == 3 * CHUNK
    assert probe.ok("disperse").split() == [digest(source, size)] * 40
    probe.ok("write", source, 3 * CHUNK + 500, 3 * CHUNK)
    assert inside.find_one()["bytes"] == 3 * CHUNK
    assert probe.ok("commit") == digest(source, 6 * CHUNK + 500)
    files = gridfs.GridFSBucket(connect(server, database), "videos")
    assert files.open_download_stream("source/A").read() == source.read_bytes()[:6 * CHUNK + 500]
    assert files.open_download_stream("source/40").read() == source.read_bytes()[:size]


@pytest.mark.release_build
def test_memory_stays_flat(server, database, probes, source, tmp_path):
    probe = probes(server.url(database))
    put(probe, "source/A", source, BATCH)
    probe.ok("create", "source/B")
    at_first = None
    for _ in range(4):
        probe.ok("write", source, 0, 10 * BATCH)
        probe.ok("read", "source/A", tmp_path / "read")
        at_first = at_first or int(probe.resident_kib)
    assert int(probe.resident_kib) - at_first < 16 * 1024
    probe.ok("commit")
    before = int(probe.resident_kib)
    probe.ok("spool", "source/B", tmp_path)
    assert int(probe.resident_kib) - before < 16 * 1024


FAULTS = {  # what the server does to the next calls
    "conflict": (3, {"failCommands": ["insert"], "errorCode": 112,
                     "errorLabels": ["TransientTransactionError"]}),
    "commit-lost": (3, {"failCommands": ["commitTransaction"], "closeConnection": True}),
    "commit-not-yet-safe": (3, {"failCommands": ["commitTransaction"], "writeConcernError":
                                {"code": 64, "errmsg": "waiting for replication timed out"}}),
    "commit-undone": (1, {"failCommands": ["commitTransaction"], "errorCode": 251,
                          "errorLabels": ["TransientTransactionError"]}),
    "read-too-slow": (3, {"failCommands": ["find"], "errorCode": 50}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_leaves_no_error(server, database, probes, source, tmp_path, fault):
    times, data = FAULTS[fault]
    half, size = 5 * BATCH + 3, 7 * BATCH + 4567
    probe = probes(server.url(database))
    probe.ok("create", "source/A")
    probe.ok("write", source, 0, half)
    probe.ok("suspend")
    probe.ok("resume", "source/A")
    with server.members[0].client() as client:
        for verb in (("write", source, half, size - half), ("commit",)):
            client.admin.command("configureFailPoint", "failCommand", data=data,
                                 mode={"times": times})
            probe.ok(*verb)
        client.admin.command("configureFailPoint", "failCommand", mode="off")
    assert probe.ok("spool", "source/A", tmp_path) == digest(source, size)
    probe.ok("remove", "source/A")
    assert left_behind(connect(server, database)) == {}


COMMANDS = ["insert", "update", "delete", "findAndModify", "find", "commitTransaction",
            "abortTransaction"]


@pytest.mark.parametrize("command", COMMANDS)
def test_whichever_command_fails_all_is_there_or_goes_on(server, database, probes, source, tmp_path,
                                                         command):
    half, size = BATCH + 777, 2 * BATCH + 5000
    whole = digest(source, size)
    steps = [("create", "source/A"), ("write", source, 0, half), ("suspend",),
             ("resume", "source/A"), ("write", source, half, size - half), ("commit",)]
    probe, inside = probes(server.url(database)), connect(server, database)
    with server.members[0].client() as client:
        for failing in range(len(steps)):
            fault = {"closeConnection": True} if failing % 2 else {"errorCode": 11600}
            for number, step in enumerate(steps):
                if number == failing:
                    client.admin.command("configureFailPoint", "failCommand", mode={"times": 2},
                                         data={"failCommands": [command], **fault})
                kind, text = probe(*step)
                client.admin.command("configureFailPoint", "failCommand", mode="off")
                assert kind == "ok" or (kind == "unavailable" and number == failing), text
                if kind != "ok":
                    break
            if kind != "ok" and step[0] == "write":
                probe.ok("abort")
            if kind != "ok" and probe("stat", "source/A")[0] == "not_found":
                kind, text = probe("resume", "source/A")
                if kind == "ok":
                    probe.ok("write", source, int(text), size - int(text))
                    assert probe.ok("commit") == whole
                else:
                    assert kind == "not_found"
            if probe("stat", "source/A")[0] == "ok":
                assert probe.ok("spool", "source/A", tmp_path) == whole
            probe.ok("remove", "source/A")
            assert left_behind(inside) == {}


def test_an_unfinished_blob_outlives_the_server(tmp_path, probes, source):
    with servers.MongoDB(tmp_path / "mongodb") as server:
        probe = probes(server.url("unreel"))
        probe.ok("make")
        probe.ok("create", "source/A")
        probe.ok("write", source, 0, 2 * BATCH + 777)
        probe.ok("suspend")
        server.kill()
        kind, text = probe("resume", "source/A")
        assert kind == "unavailable", text
        server.start()
        assert probe.ok("resume", "source/A") == str(2 * BATCH + 777)
        probe.ok("write", source, 2 * BATCH + 777, BATCH)
        assert probe.ok("commit") == digest(source, 3 * BATCH + 777)


def test_nobody_waits_for_ever_for_a_frozen_server(tmp_path, probes, source):
    with servers.MongoDB(tmp_path / "mongodb") as server:
        url = server.url("unreel") + "&socketTimeoutMS=2000&serverSelectionTimeoutMS=1000"
        url += "&connectTimeoutMS=1000"
        probe = probes(url)
        probe.ok("make")
        put(probe, "source/A", source, BATCH)
        probe.ok("create", "source/B")
        server.freeze()
        for line in (("stat", "source/A"), ("ready",), ("write", source, 0, BATCH), ("abort",)):
            kind, text = probe(*line)
            assert "password" not in text  # a server that is silent refuses nobody
            assert kind == ("ok" if line[0] == "abort" else "unavailable"), text
            assert int(probe.took_ms) < 120000
        fresh = probes(url)
        assert fresh("stat", "source/A")[0] == "unavailable"
        server.thaw()
        deadline = time.monotonic() + 60
        while probe("stat", "source/A")[0] != "ok" and time.monotonic() < deadline:
            pass
        assert probe.ok("stat", "source/A") == digest(source, BATCH)
        probe.ok("remove", "source/B")
        assert probe.ok("unfinished", "") == ""


def test_uploads_and_downloads_outlive_the_death_of_the_primary(tmp_path, probes, source):
    """Killed during a write, a commit that reads everything back, and a read. What the library
    itself waits for a primary is less than the election takes."""
    size = 10 * BATCH + 5000
    half = 5 * BATCH + 3
    with servers.MongoDB(tmp_path / "mongodb", members=3) as cluster:
        probe = probes(cluster.url("unreel") + "&serverSelectionTimeoutMS=500")
        other = probes(cluster.url("unreel"))
        probe.ok("make")
        sha256 = put(other, "source/R", source, size)
        for verb in ("write", "commit", "read"):
            probe.ok("create", "source/A")
            probe.ok("write", source, 0, half)
            probe.ok("suspend")
            assert probe.ok("resume", "source/A") == str(half)
            if verb != "write":
                probe.ok("write", source, half, size - half)
            primary = cluster.primary()
            probe.send(*{"write": ("write", source, half, size - half), "commit": ("commit",),
                         "read": ("read", "source/R", tmp_path / "read")}[verb])
            time.sleep(random.random() / 10)  # before it, in the middle, or after
            primary.kill()
            kind, text = probe.answer()
            assert kind == "ok", (verb, text)
            if verb == "read":
                assert (tmp_path / "read").read_bytes() == source.read_bytes()[:size]
            assert (text if verb == "commit" else probe.ok("commit")) == sha256
            assert other.ok("spool", "source/A", tmp_path) == sha256
            other.ok("remove", "source/A")
            primary.start()
            cluster.wait()
        other.ok("remove", "source/R")
        assert left_behind(connect(cluster, "unreel")) == {}
