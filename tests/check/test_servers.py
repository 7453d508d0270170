"""The servers of the tests: each starts, answers, comes back after any end, and leaves no process."""
import os
import smtplib
import subprocess
import sys
import time
from pathlib import Path

import pymysql
import pytest
from pymongo import MongoClient, WriteConcern

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import servers  # noqa: E402


def processes_under(folder: Path) -> list[str]:
    """Command lines of the processes that know this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(path / "cmdline").read_bytes(), (path / "environ").read_bytes()]
        except OSError:
            continue
        if path.name != str(os.getpid()) and any(os.fsencode(folder) in text for text in texts):
            found.append(texts[0].replace(b"\0", b" ").decode())
    return found


def wait_until(condition, what: str):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


@pytest.fixture
def folder(tmp_path):
    """Whose servers have all ended when the test has."""
    yield tmp_path
    wait_until(lambda: not processes_under(tmp_path), f"{processes_under(tmp_path)} to end")


def through_all_ends(server, works):
    """Started, frozen, restarted and killed: it works each time, on the same port and data."""
    with server:
        works()
        server.freeze()
        server.thaw()
        works()
        server.restart()
        works()
        server.kill()
        assert not server.is_running()
        server.start()
        works()
    assert not server.is_running()


def test_rabbitmq_keeps_its_virtual_hosts_through_every_end(folder):
    broker = servers.RabbitMQ(folder)

    def works():
        broker.make_vhost("a/b")
        assert [each["name"] for each in broker.manage("GET", "/api/vhosts")] == ["/", "a/b"]
        assert broker.manage("GET", "/api/aliveness-test/a%2Fb") == {"status": "ok"}
    through_all_ends(broker, works)


def test_mariadb_keeps_what_it_has_committed_through_every_end(folder):
    database = servers.MariaDB(folder)
    kept = []

    def works():
        connection = pymysql.connect(host=servers.HOST, port=database.port, user="root",
                                     password=database.password, autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS kept CHARACTER SET utf8mb4")
            cursor.execute("CREATE TABLE IF NOT EXISTS kept.facts (fact TEXT)")
            cursor.execute("SELECT fact FROM kept.facts")
            assert [row[0] for row in cursor.fetchall()] == kept
            kept.append(f"mäh {len(kept)}")
            cursor.execute("INSERT INTO kept.facts VALUES (%s)", (kept[-1],))
    through_all_ends(database, works)


def test_mariadb_lets_nobody_in_without_the_password(folder):
    with servers.MariaDB(folder) as database:
        assert database.execute("SELECT User FROM mysql.user") == "root\nmariadb.sys\n"
        with pytest.raises(pymysql.err.OperationalError):
            pymysql.connect(host=servers.HOST, port=database.port, user="root", password="")


def test_mongodb_keeps_what_a_majority_has_through_every_end(folder):
    database = servers.MongoDB(folder)
    kept = []

    def works():
        with MongoClient(database.url()) as client:
            facts = client.kept.get_collection("facts", write_concern=WriteConcern("majority", j=True))
            assert [each["_id"] for each in facts.find()] == kept
            kept.append(len(kept))
            facts.insert_one({"_id": kept[-1]})
    through_all_ends(database, works)


def test_the_mail_sink_keeps_each_mail_with_its_envelope(folder):
    sink = servers.SmtpSink(folder)
    kept = []

    def works():
        with smtplib.SMTP(servers.HOST, sink.port, timeout=30) as client:
            client.sendmail("a@example.org", ["b@example.org"], "Subject: hello\r\n\r\nyou\r\n")
        kept.append(b"Return-Path: <a@example.org>\r\nDelivered-To: b@example.org\r\n"
                    b"Subject: hello\r\n\r\nyou\r\n")
        assert [path.read_bytes() for path in sorted(sink.mails.iterdir())] == kept
    through_all_ends(sink, works)


def test_a_cluster_outlives_its_leader(folder):
    with servers.RabbitMQCluster(folder) as cluster:
        cluster.nodes[0].make_vhost("v")
        assert cluster.nodes[1].manage(
            "PUT", "/api/queues/v/video",
            {"durable": True, "arguments": {"x-queue-type": "quorum"}}) is not None
        wait_until(lambda: cluster.leader("v", "video"), "a leader")
        leader = cluster.leader("v", "video")
        leader.kill()
        wait_until(lambda: cluster.leader("v", "video") not in (None, leader), "another leader")
        leader.start()
        wait_until(lambda: all(map(cluster.sees_all, cluster.nodes)), "all three again")


def test_a_replica_set_of_three_elects_another_primary(folder):
    with servers.MongoDB(folder, members=3) as database:
        primary = database.primary()
        primary.kill()
        wait_until(lambda: database.primary() not in (None, primary), "another primary")
        primary.start()
        wait_until(primary.holds_data, "the third to follow")


def test_a_server_that_cannot_start_says_why(folder):
    database = servers.MariaDB(folder)
    database.start()
    database.stop()
    (folder / "data" / "ibdata1").write_bytes(b"no longer a database")
    with pytest.raises(servers.ServerError, match="(?s)ended with status .*ibdata1"):
        database.start()


def test_servers_die_with_the_process_that_started_them(folder):
    program = ("import sys, time; sys.path.insert(0, sys.argv[1]); import servers;"
               "servers.MariaDB(sys.argv[2]).start(); print('up', flush=True); time.sleep(600)")
    owner = subprocess.Popen([sys.executable, "-c", program, ROOT / "scripts", folder],
                             stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout.readline() == b"up\n"
        assert processes_under(folder)
        owner.kill()


def test_dev_services_keeps_accounts_and_ports_from_one_start_to_the_next(folder):
    def verb(name: str) -> subprocess.CompletedProcess:
        return subprocess.run([ROOT / "scripts" / "dev-services", name, "--data", folder],
                              capture_output=True, text=True, timeout=600)
    first = verb("start")
    assert first.returncode == 0, first.stderr
    settings = dict(line.removeprefix("export ").split("=", 1) for line in first.stdout.splitlines())
    assert list(settings) == ["UNREEL_ACCOUNTS", "UNREEL_JOBS", "UNREEL_BLOBS", "UNREEL_QUEUE",
                              "UNREEL_MAIL"]
    assert verb("environment").stdout == first.stdout
    assert "UNREEL_TEST_MYSQL=" in verb("tests").stdout
    assert verb("status").returncode == 0
    assert verb("stop").returncode == 0 and verb("status").returncode == 1
    assert verb("start").stdout == first.stdout
    assert verb("stop").returncode == 0
