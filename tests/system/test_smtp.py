"""The SMTP backend against a server that misbehaves at every step: what it makes of it, and when.

The real time-outs take minutes. `mail-probe` runs the real backend with one of them made short, so
that a test that ends has met the right one.
"""
import signal
import socket
import subprocess
import time

import pytest
from service import BUILD, wait_until
from smtp_script import CLOSE, DRIP, HANG, HOLD, RESET, SmtpScript, certificate

PROBE = BUILD / "tests" / "support" / "mail-probe"
BEFORE_RCPT = ["greeting", "EHLO", "MAIL"]
FROM_RCPT = ["RCPT", "DATA", "dot"]
PATIENCE_S = 60


def run(url: str, verb: str = "send", *timeouts) -> str:
    done = subprocess.run([PROBE, url, verb, *map(str, timeouts)], capture_output=True, text=True,
                          timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def send(server: SmtpScript, *timeouts) -> str:
    return run(f"smtp://127.0.0.1:{server.port}", "send", *timeouts)


@pytest.fixture
def server():
    with SmtpScript() as script:
        yield script


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("localhost", "other.example.org")}


# ---- what goes over the wire -----------------------------------------------------------------------


def test_a_mail_goes_out_with_its_dots_doubled_and_nothing_else_changed(server):
    assert send(server) == "sent 250 2.0.0 queued as 4F"
    mail, = server.mails
    assert mail.content == b"Subject: x\r\n\r\n..a dot\r\n...two\r\n..\r\nlast\r\n"
    assert (mail.sender, mail.recipients) == ("unreel@example.org", ["someone@example.org"])
    assert [command.split(" ")[0] for command in server.commands] == \
        ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert "." in server.commands[0]


def test_asking_whether_it_is_ready_sends_nothing(server):
    assert run(f"smtp://127.0.0.1:{server.port}", "ready") == "ready"
    assert [command.split(" ")[0] for command in server.commands] == ["EHLO", "NOOP", "QUIT"]
    assert "." in server.commands[0]  # some servers turn `localhost` away


# ---- replies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["451 4.7.1 later", "554 5.7.1 no"])
@pytest.mark.parametrize("step", BEFORE_RCPT)
def test_a_refusal_before_the_recipient_means_that_no_mail_can_be_sent(server, step, reply):
    server.rule(step, reply, times=None)
    server.rule("HELO", reply, times=None)  # libcurl asks once more in the old way
    answer = send(server)
    assert answer.startswith("down ") and reply in answer
    assert server.mails == []


@pytest.mark.parametrize("reply,answer", [("450 4.2.0 greylisted", "later"),
                                          ("452 4.5.3 too many", "later"),
                                          ("550 5.1.1 nobody", "refused"),
                                          ("554 5.7.1 spam", "refused"),
                                          ("530 5.7.0 log in first", "down"),
                                          ("421 4.3.2 closing", "down")])
@pytest.mark.parametrize("step", FROM_RCPT)
def test_a_refusal_from_the_recipient_on_says_whose_it_is(server, step, reply, answer):
    server.rule(step, reply)
    got = send(server)
    assert got.startswith(answer + " ") and reply[:3] in got
    assert server.mails == []


def test_a_long_refusal_becomes_one_line(server):
    server.rule("RCPT", "550-5.1.1 nobody\n550-" + "x" * 5000 + "\n550 5.1.1 end")
    answer = send(server)
    assert answer == "refused 550-5.1.1 nobody (to RCPT TO)"


# ---- broken connections ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [CLOSE, RESET])
@pytest.mark.parametrize("step,answer", [("greeting", "down"), ("EHLO", "down"), ("MAIL", "down"),
                                         ("RCPT", "later"), ("DATA", "later"),
                                         ("dot", "uncertain"), ("QUIT", "sent")])
def test_a_connection_that_breaks(server, step, answer, how):
    server.rule(step, how)
    got = send(server)
    assert got.startswith(answer + " ")
    assert len(server.mails) == (1 if answer in ("uncertain", "sent") else 0)


def test_a_connection_that_breaks_during_the_message_may_have_lost_it_or_not(server):
    """The last byte was handed to the kernel: we cannot know."""
    server.rule("body", CLOSE)
    assert send(server).startswith("uncertain ")
    assert server.mails == []


def test_no_server_and_no_such_host_are_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run(f"smtp://127.0.0.1:{port}").startswith("down connecting: ")
    assert "resolve" in run("smtp://nowhere.invalid?tls=off")
    assert "resolve" in run("smtp://nowhere.invalid?tls=off", "ready")


# ---- silence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [HANG, DRIP])
@pytest.mark.parametrize("step,timeout,answer", [("greeting", "command", "down"),
                                                 ("EHLO", "command", "down"),
                                                 ("MAIL", "command", "down"),
                                                 ("RCPT", "command", "later"),
                                                 ("DATA", "data", "later"),
                                                 ("dot", "final_dot", "uncertain"),
                                                 ("QUIT", "quit", "sent")])
def test_each_step_has_its_own_time_out(server, step, timeout, answer, how):
    server.rule(step, how)
    begun = time.monotonic()
    assert send(server, timeout, 300).startswith(answer + " ")
    assert time.monotonic() - begun < 30  # the shortest of the others that could have ended it
    assert len(server.mails) == (1 if answer in ("uncertain", "sent") else 0)


def test_a_host_that_swallows_packets_is_given_up():
    """A full queue of connections: the kernel drops what else wants in."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(listener.getsockname())
            waiting.append(connection)
        answer = run(f"smtp://127.0.0.1:{listener.getsockname()[1]}", "send", "connect", 300)
        assert answer == "down connecting: no answer in time"
        for connection in waiting:
            connection.close()


def test_readiness_is_known_within_seconds(server):
    server.rule("greeting", HANG)
    assert "no answer in time" in run(f"smtp://127.0.0.1:{server.port}", "ready")


# ---- cancelling ------------------------------------------------------------------------------------


def cancel(server: SmtpScript, step: str, how: str, *timeouts, after=lambda: None) -> str:
    server.rule(step, how)
    probe = subprocess.Popen([PROBE, f"smtp://127.0.0.1:{server.port}", "send",
                              *map(str, timeouts)], stdout=subprocess.PIPE, text=True)
    reached = {"greeting": lambda: server.connections > 0, "dot": lambda: server.mails}
    wait_until(reached.get(step, lambda: server.count(step) > 0), what=step)
    probe.send_signal(signal.SIGTERM)
    after()
    return probe.communicate(timeout=30)[0].strip()


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_cancelled_mail_is_dropped_before_its_final_dot(server, step):
    assert cancel(server, step, HANG).startswith("cancelled ")
    assert server.mails == []


def test_the_answer_to_the_final_dot_is_waited_for_a_while(server):
    assert cancel(server, "dot", HOLD, after=server.release) == "sent 250 2.0.0 queued as 4F"


def test_after_that_while_nobody_knows(server):
    assert cancel(server, "dot", HANG, "cancelled", 300).startswith("uncertain ")


# ---- TLS and passwords -----------------------------------------------------------------------------


def test_starttls_encrypts_log_in_and_mail(pems):
    pem = pems["localhost"]
    with SmtpScript(pem, password="a b/ü") as server:
        url = f"smtp://me%40x:a%20b%2F%C3%BC@localhost:{server.port}?tls=required&tls-ca={pem}"
        assert run(url, "ready") == "ready"
        assert run(url).startswith("sent ")
        mail, = server.mails
        assert (mail.is_encrypted, mail.user) == (True, "me@x")


def test_smtps_encrypts_from_the_first_byte(pems):
    pem = pems["localhost"]
    with SmtpScript(pem, is_implicit_tls=True) as server:
        url = f"smtps://localhost:{server.port}?tls-ca={pem}"
        assert run(url, "ready") == "ready"
        assert run(url).startswith("sent ")
        assert server.mails[0].is_encrypted


def test_a_server_without_starttls_gets_neither_password_nor_mail(pems):
    with SmtpScript(password="secret") as server:
        url = f"smtp://me:secret@localhost:{server.port}?tls=required&tls-ca={pems['localhost']}"
        for answer in (run(url), run(url, "ready")):
            assert answer.startswith(("down ", "not-ready ")) and "STARTTLS" in answer
        assert {command.split(" ")[0] for command in server.commands} == {"EHLO"}


@pytest.mark.parametrize("is_implicit", [False, True])
@pytest.mark.parametrize("certified,trusted", [("other.example.org", "other.example.org"),
                                               ("localhost", "other.example.org"),
                                               ("localhost", None)])
def test_a_wrong_certificate_gets_neither_password_nor_mail(pems, certified, trusted, is_implicit):
    with SmtpScript(pems[certified], password="secret", is_implicit_tls=is_implicit) as server:
        parameters = [] if is_implicit else ["tls=required"]
        if trusted:
            parameters.append(f"tls-ca={pems[trusted]}")
        url = f"smtp{'s' if is_implicit else ''}://me:secret@localhost:{server.port}" \
            f"?{'&'.join(parameters)}".rstrip("?")
        answer = run(url)
        assert answer.startswith("down ") and "certificate" in answer
        assert server.count("AUTH") == server.count("MAIL") == 0


@pytest.mark.parametrize("reply", [None, "454 4.7.0 later", "534 5.7.9 too weak"])
def test_a_wrong_password_bounces_nobody(pems, reply):
    pem = pems["localhost"]
    with SmtpScript(pem, password="right") as server:
        if reply is not None:
            server.rule("AUTH", reply, times=None)
        url = f"smtp://me:wrong@localhost:{server.port}?tls=required&tls-ca={pem}"
        answer = run(url)
        assert answer.startswith(f"down {(reply or '535')[:3]} ") and "wrong" not in answer
        assert (reply or "535")[:3] in run(url, "ready")


def test_a_server_that_takes_no_password_is_the_wrong_server(server):
    server.rule("RCPT", "550 5.7.1 relaying denied", times=None)
    url = f"smtp://me:secret@127.0.0.1:{server.port}"
    assert run(url) == "down the server takes no user and password"
    assert run(url, "ready").endswith("the server takes no user and password")


def test_a_password_never_goes_over_an_open_line_to_another_machine():
    done = subprocess.run([PROBE, "smtp://me:secret@mail.example.org?tls=off", "send"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "tls=off" in done.stderr and "secret" not in done.stderr
