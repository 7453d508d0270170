"""The MySQL driver while its server restarts, dies, freezes, becomes read-only, or shows a certificate
that it should not."""
import subprocess
import sys
from pathlib import Path

import pytest

from service import BUILD, UNREEL, clean_environment

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from servers import MariaDB, ServerError, free_port  # noqa: E402

PASSWORD = "canary-5f0b"


class Probe:
    """tests/support/sql_probe.c: one handle."""

    def __init__(self, url: str, *inside: str):
        self.process = subprocess.Popen([*inside, BUILD / "tests/support/sql-probe", url], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.opened = self.read()

    def read(self) -> str:
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def text(self, select: str) -> str:
        answer = self.tell(f"text {select}")
        assert answer.startswith("ok"), answer
        return answer[3:]

    def text_soon(self, select: str) -> str:
        """The call that finds the connection dead may fail, the one behind it not."""
        answer = self.tell(f"text {select}")
        return answer[3:] if answer.startswith("ok") else self.text(select)

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(60)
        assert status == (0 if self.opened == "ok" else 1)


@pytest.fixture
def open_probe():
    probes = []

    def open_one(url: str, *inside: str) -> Probe:
        probes.append(Probe(url, *inside))
        return probes[-1]

    yield open_one
    for probe in probes:
        probe.close()


class SecureMariaDB(MariaDB):
    """With a certificate for `localhost`, signed by an authority of its own."""

    def prepare(self):
        super().prepare()
        if (self.folder / "ca.pem").exists():
            return

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

        for name in ("ca", "other-ca"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    f"/CN=test {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=DNS:localhost", "-keyout", "server.key", "-out", "server.csr")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-copy_extensions", "copy", "-out", "server.pem")

    def command(self):
        return super().command() + [f"--ssl-{what}={self.folder / file}" for what, file in
                                    (("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key"))]


def make_users_database(server: MariaDB):
    """As docs/operations.md says: a user who may use its database and nothing else."""
    server.execute("CREATE DATABASE unreel; "
                   f"CREATE USER unreel@'%' IDENTIFIED BY '{PASSWORD}'; "
                   "GRANT SELECT, INSERT, UPDATE, DELETE ON unreel.* TO unreel@'%'; "
                   "CREATE TABLE unreel.thing (id BIGINT NOT NULL PRIMARY KEY) ENGINE=InnoDB")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Two, of which the first has a certificate."""
    folder = tmp_path_factory.mktemp("mariadb")
    both = [SecureMariaDB(folder / "first", durable=False), MariaDB(folder / "second", durable=False)]
    try:
        for server in both:
            server.launch()
        for server in both:
            server.wait()
            make_users_database(server)
    except ServerError as error:
        pytest.skip(str(error))
    yield both
    for server in both:
        server.stop()


@pytest.fixture
def server(servers):
    servers[0].execute("SET GLOBAL read_only=0; DELETE FROM unreel.thing")
    return servers[0]


def url(*hosts, parameters: str = "") -> str:
    names = ",".join(host if isinstance(host, str) else f"127.0.0.1:{host.port}" for host in hosts)
    return f"mysql://unreel:{PASSWORD}@{names}/unreel{parameters}"


def rows(server: MariaDB) -> int:
    return int(server.execute("SELECT COUNT(*) FROM unreel.thing"))


def assert_unavailable(answer: str):
    assert answer.startswith("error unavailable"), answer
    assert PASSWORD not in answer


TWO = "transaction INSERT INTO thing (id) VALUES (1);INSERT INTO thing (id) VALUES (2)"


def test_a_restart_between_two_calls_costs_one_of_them_at_most(server, open_probe):
    probe = open_probe(url(server))
    probe.text("SELECT COUNT(*) FROM thing")
    server.restart()
    assert probe.text_soon("SELECT COUNT(*) FROM thing") == "0"


def test_a_server_that_dies_inside_a_transaction_keeps_nothing_of_it(server, open_probe):
    probe = open_probe(url(server))
    assert probe.tell(TWO) == "inside"
    server.kill()
    assert_unavailable(probe.tell("go on"))
    assert_unavailable(probe.tell("text SELECT 1"))
    server.start()
    assert rows(server) == 0
    assert probe.tell(TWO) == "inside"
    assert probe.tell("go on") == "ok"
    assert rows(server) == 2


def test_a_transaction_around_a_restart_runs_again_as_a_whole(server, open_probe):
    probe = open_probe(url(server))
    assert probe.tell(TWO) == "inside"
    server.restart()
    assert probe.tell("go on") == "ok"
    assert rows(server) == 2


def test_a_frozen_server_holds_nobody_up_for_long(server, open_probe):
    probe = open_probe(url(server))
    probe.text("SELECT 1")
    server.freeze()
    try:
        assert_unavailable(probe.tell("execute INSERT INTO thing (id) VALUES (1)"))
        assert_unavailable(probe.tell("text SELECT 1"))
    finally:
        server.thaw()
    assert probe.text_soon("SELECT COUNT(*) FROM thing") in ("0", "1")


def test_an_idle_connection_is_kept_alive(server, open_probe):
    probe = open_probe(url(server))
    probe.text("SELECT 1")
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    timers = [row[5] for row in rows if row[2].endswith(f":{server.port:04X}") and row[3] == "01"]
    # 02: the next thing to happen is a sign of life; in hundredths of a second.
    assert any(timer.startswith("02:") and int(timer[3:], 16) <= 60 * 100 for timer in timers), timers


def test_the_first_host_that_takes_writes_is_used(servers, server, open_probe):
    second = servers[1]
    assert open_probe(url(server, second)).text("SELECT @@port") == str(server.port)
    server.execute("SET GLOBAL read_only=1")
    assert open_probe(url(server, second)).text("SELECT @@port") == str(second.port)
    alone = open_probe(url(server)).opened
    assert_unavailable(alone)
    assert "read-only" in alone
    server.execute("SET GLOBAL read_only=0")
    server.freeze()
    try:
        assert open_probe(url(server, second)).text("SELECT @@port") == str(second.port)
    finally:
        server.thaw()


def test_a_server_that_becomes_read_only_is_left(servers, server, open_probe):
    second = servers[1]
    second.execute("DELETE FROM unreel.thing")
    probe = open_probe(url(server, second))
    assert probe.tell("execute INSERT INTO thing (id) VALUES (1)") == "ok 1"
    server.execute("SET GLOBAL read_only=1")
    assert_unavailable(probe.tell("execute INSERT INTO thing (id) VALUES (2)"))
    assert probe.tell("execute INSERT INTO thing (id) VALUES (2)") == "ok 1"
    assert (rows(server), rows(second)) == (1, 1)


def test_a_transaction_moves_to_the_new_primary_as_a_whole(servers, server, open_probe):
    second = servers[1]
    second.execute("DELETE FROM unreel.thing")
    probe = open_probe(url(server, second))
    assert probe.tell(TWO) == "inside"
    server.kill()
    assert probe.tell("go on") == "ok"
    server.start()
    assert (rows(server), rows(second)) == (0, 2)


class Galera(MariaDB):
    """The only node of a cluster."""

    def command(self):
        return super().command() + [
            "--wsrep-on=ON", "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
            "--wsrep-cluster-address=gcomm://", "--wsrep-node-address=127.0.0.1",
            "--wsrep-sst-method=skip", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
            f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{free_port()}"]

    def leave(self):
        """For a cluster that nobody else is in: the node still connects whoever comes and is not
        read-only, but answers to little more than SHOW and SET."""
        self.execute("SET GLOBAL wsrep_cluster_address='gcomm://127.0.0.1:1?pc.wait_prim=no'")
        assert "non-Primary" in self.execute("SHOW STATUS LIKE 'wsrep_cluster_status'")


def test_a_galera_node_without_its_cluster_is_left(servers, tmp_path, open_probe):
    second = servers[1]
    with Galera(tmp_path / "galera", durable=False) as galera:
        make_users_database(galera)
        probe = open_probe(url(galera, second))
        assert probe.text("SELECT @@port") == str(galera.port)
        galera.leave()
        assert probe.text_soon("SELECT COUNT(*) >= 0 FROM thing") == "1"
        assert probe.text("SELECT @@port") == str(second.port)
        alone = open_probe(url(galera)).opened
        assert_unavailable(alone)
        assert "WSREP" in alone, alone


@pytest.mark.parametrize("number, is_left", [(1040, False), (1317, False), (1205, False), (1412, False),
                                             (1290, True), (1615, True), (1927, True), (4031, True)])
def test_what_ails_the_server_is_no_fault_of_ours(server, open_probe, number, is_left):
    probe = open_probe(url(server))
    before = probe.text("SELECT CONNECTION_ID()")
    assert_unavailable(probe.tell(f"execute SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO={number}"))
    assert (probe.text("SELECT CONNECTION_ID()") != before) == is_left


class SmallMariaDB(MariaDB):
    """With room for a few megabytes."""

    def command(self):
        return super().command() + ["--innodb-file-per-table=0",
                                    "--innodb-data-file-path=ibdata1:12M:autoextend:max:20M"]


def test_a_server_without_room_says_so(tmp_path, open_probe):
    with SmallMariaDB(tmp_path / "small", durable=False) as small:
        make_users_database(small)
        small.execute("CREATE TABLE unreel.heap (id BIGINT PRIMARY KEY AUTO_INCREMENT, body LONGTEXT)")
        probe = open_probe(url(small))
        answers = [probe.tell("execute INSERT INTO heap (body) VALUES (REPEAT('x', 1000000))")
                   for _ in range(30)]
        assert "ok 1" in answers and answers[-1].startswith("error no_space"), answers[-1]
        assert probe.text("SELECT COUNT(*) > 0 FROM heap") == "1"


def test_the_rights_that_the_manual_names_are_enough_to_migrate(server, tmp_path):
    server.execute("CREATE DATABASE IF NOT EXISTS fresh; "
                   f"CREATE OR REPLACE USER migrate@'%' IDENTIFIED BY '{PASSWORD}'; "
                   "GRANT SELECT, INSERT, CREATE, ALTER, INDEX ON fresh.* TO migrate@'%'; "
                   "GRANT SELECT, INSERT, UPDATE, DELETE ON fresh.* TO unreel@'%'")

    def migrate(user: str) -> subprocess.CompletedProcess:
        target = f"mysql://{user}:{PASSWORD}@127.0.0.1:{server.port}/fresh"
        return subprocess.run([UNREEL, "migrate", "--jobs", target, "--accounts", target, "--data",
                               tmp_path / "data"], env=clean_environment(), capture_output=True,
                              text=True, timeout=120)

    for _ in range(2):
        done = migrate("migrate")
        assert done.returncode == 0, done.stderr
    refused = migrate("unreel")
    assert refused.returncode == 1
    assert "denied" in refused.stderr and PASSWORD not in refused.stderr


# ---- TLS

CIPHER = "SELECT variable_value FROM information_schema.session_status WHERE variable_name='Ssl_cipher'"


def test_tls_is_used_as_the_url_says(server, open_probe):
    ca = server.folder / "ca.pem"
    probe = open_probe(url(server, parameters="?tls=required"))
    assert probe.text(CIPHER) != ""
    assert probe.text("SELECT CONNECTION_ID()") == probe.text("SELECT CONNECTION_ID()")
    named = url(f"localhost:{server.port}", parameters=f"?tls=verify&tls-ca={ca}")
    assert open_probe(named).text(CIPHER) != ""


def test_a_certificate_of_an_unknown_authority_or_for_another_name_is_refused(server, open_probe):
    ca, other = server.folder / "ca.pem", server.folder / "other-ca.pem"
    for host, parameters in ((f"localhost:{server.port}", f"?tls=verify&tls-ca={other}"),
                             (f"localhost:{server.port}", "?tls=verify"),
                             (f"localhost:{server.port}", "?tls=verify&tls-ca=/nowhere/ca.pem"),
                             # Newer libraries check no name for "127.0.0.1" itself.
                             (f"127.1:{server.port}", f"?tls=verify&tls-ca={ca}")):
        answer = open_probe(url(host, parameters=parameters)).opened
        assert_unavailable(answer)
        assert "TLS" in answer, answer


def test_the_systems_authorities_are_the_one_file_that_an_image_has(server, open_probe):
    if subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace here")
    named = url(f"localhost:{server.port}", parameters="?tls=verify")
    only = ("mount -t tmpfs none /etc/ssl/certs && cp $0 /etc/ssl/certs/ca-certificates.crt && exec \"$@\"")
    for authority, opened in (("ca.pem", "ok"), ("other-ca.pem", "error")):
        probe = open_probe(named, "unshare", "--mount", "--map-root-user", "sh", "-c", only,
                           str(server.folder / authority))
        assert probe.opened.split()[0] == opened, probe.opened


def test_a_server_without_tls_is_refused_where_it_is_required(servers, open_probe):
    for parameters in ("?tls=required", "?tls=verify"):
        answer = open_probe(url(servers[1], parameters=parameters)).opened
        assert_unavailable(answer)
        assert "TLS" in answer, answer
    assert open_probe(url(servers[1], parameters="?tls=off")).opened == "ok"
