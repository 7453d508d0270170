"""Letters of the real service on a mail server that misbehaves: what users, operators and recipients
see. Back-offs of minutes are not waited for: a letter's alarm clock is moved in the table."""
import os
import signal
import time

import pytest
from gateway_client import form, jobs_query, send_form
from service import Service, free_ports, wait_until
from smtp_script import CLOSE, HANG, HOLD, SmtpScript

pytestmark = pytest.mark.one_machine  # the notifier cannot tell; the tables are at hand there

NOTIFIER = 2  # its place among the operators' ports


@pytest.fixture(scope="module")
def running(module_service):
    """One service for the tests of this file, and the port of a server that each makes anew."""
    port = free_ports(1)
    with SmtpScript(port=port):
        service = module_service({"UNREEL_MAIL": f"smtp://127.0.0.1:{port}",
                                  "UNREEL_MAIL_FROM": "Unreel <unreel@example.org>"}).start()
    return service, port


@pytest.fixture
def service(running) -> Service:
    return running[0]


@pytest.fixture
def server(running):
    with SmtpScript(port=running[1]) as script:
        # Its absence between two tests may have been noticed.
        wait_until(running[0].is_ready, 180, what="the notifier to find the server")
        yield script


@pytest.fixture(scope="module")
def token(running) -> str:
    return running[0].user("anna@example.org")


def convert(service: Service, token: str, video) -> str:
    identifier = service.upload(token, video).json["id"]
    service.wait_for(token, identifier, "ready")
    return identifier


def letter(service: Service, identifier: str) -> dict:
    """The newest letter about that conversion."""
    names = ("id", "state", "attempt", "last_reply")
    row, = jobs_query(service, f"SELECT {', '.join(names)} FROM letter WHERE conversion=?"
                      " ORDER BY created_at DESC, id DESC LIMIT 1", identifier)
    return dict(zip(names, row))


def wait_for_letter(service: Service, identifier: str, state: str, attempt: int) -> dict:
    def look():
        found = letter(service, identifier)
        return found if (found["state"], found["attempt"]) == (state, attempt) else None
    return wait_until(look, 90, what=f"letter {state} after {attempt} tries, is "
                      f"{letter(service, identifier)}")


def wake(service: Service, identifier: str):
    jobs_query(service, "UPDATE letter SET wake_at=1 WHERE conversion=? AND wake_at IS NOT NULL",
               identifier)


def mails_about(server: SmtpScript, identifier: str) -> list:
    with server.lock:
        return [mail for mail in server.mails if identifier in mail.message.get_content()]


def mail_state(service: Service, token: str, identifier: str) -> str:
    return service.conversion(token, identifier)["mail"]["state"]


# ---- replies ---------------------------------------------------------------------------------------


def test_a_mail_that_is_put_off_three_times_arrives_once(service, server, token, video):
    for step in ("RCPT", "DATA", "dot"):
        server.rule(step, "451 4.7.1 not now")
    identifier = convert(service, token, video)
    for attempt in (1, 2, 3):
        put_off = wait_for_letter(service, identifier, "pending", attempt)
        assert put_off["last_reply"].startswith("451 4.7.1 not now")
        assert mail_state(service, token, identifier) == "pending"
        wake(service, identifier)
    sent = wait_for_letter(service, identifier, "sent", 4)
    assert sent["last_reply"] == "250 2.0.0 queued as 4F"
    mail, = mails_about(server, identifier)
    assert mail.recipients == ["anna@example.org"]
    assert mail.message_id == f"<{sent['id']}@example.org>"
    assert mail.message["To"] == "anna@example.org"


def test_a_refused_mail_is_seen_and_can_be_asked_for_again(service, server, token, video):
    server.rule("RCPT", "550 5.1.1 nobody of that name")
    identifier = convert(service, token, video)
    bounced = wait_for_letter(service, identifier, "bounced", 1)
    assert bounced["last_reply"] == "550 5.1.1 nobody of that name (to RCPT TO)"
    assert mail_state(service, token, identifier) == "bounced"
    assert service.admin(NOTIFIER, "/readyz").status == 200
    assert mails_about(server, identifier) == []
    answer = service.request("POST", f"/api/v1/conversions/{identifier}/letter", token=token)
    assert answer.status == 202
    wait_for_letter(service, identifier, "sent", 1)
    assert len(mails_about(server, identifier)) == 1
    assert mail_state(service, token, identifier) == "sent"


def test_a_busy_server_is_left_alone_and_no_letter_pays_for_it(service, server, token, video):
    """421 to the recipient: one question for all letters, then a pause that grows."""
    server.rule("RCPT", "421 4.3.2 too many mails", times=4)
    identifiers = [convert(service, token, video) for _ in range(4)]
    wait_until(lambda: service.admin(NOTIFIER, "/readyz").status == 503, 30, what="not ready")
    for identifier in identifiers:
        wait_for_letter(service, identifier, "sent", 1)
    assert server.count("RCPT") == 4 + 4
    assert [len(mails_about(server, each)) for each in identifiers] == [1] * 4
    wait_until(service.is_ready, 60, what="all to be ready")


@pytest.mark.parametrize("step,reply", [("MAIL", "550 5.1.8 this sender is not yours"),
                                        ("greeting", "554 5.7.1 your address is on a list")])
def test_a_refusal_of_ourselves_bounces_nobody(service, server, token, video, step, reply):
    server.rule(step, reply, times=None)
    identifier = convert(service, token, video)
    wait_until(lambda: reply in service.admin(NOTIFIER, "/readyz").body.decode(), 60,
               every_s=0.2, what="readyz to say why")
    assert service.admin(NOTIFIER, "/livez").status == 200
    server.clear()
    wait_for_letter(service, identifier, "sent", 1)
    assert len(mails_about(server, identifier)) == 1


def test_file_names_and_addresses_add_no_header_and_no_recipient(service, server, token, video):
    body, content_type = form(
        ("file", 'x%0d%0aBcc: eve@example.org%0d%0a.%0d%0aQUIT\u2028\u0085.mp4', video.read_bytes()))
    identifier = send_form(service, token, body, content_type).json["id"]
    wait_until(lambda: letter_state(service, identifier) == "sent", 60, what="the mail")
    mail, = mails_about(server, identifier)
    assert mail.recipients == ["anna@example.org"]
    assert set(mail.message.keys()) <= {"Date", "From", "To", "Subject", "Message-ID", "MIME-Version",
                                        "Auto-Submitted", "Content-Type", "X-Traceparent",
                                        "Content-Transfer-Encoding"}
    assert mail.content.isascii() and max(map(len, mail.content.split(b"\r\n"))) <= 76
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert b"\r" not in mail.content.replace(b"\r\n", b"")


def letter_state(service: Service, identifier: str) -> str | None:
    found = jobs_query(service, "SELECT state FROM letter WHERE conversion=?", identifier)
    return found[0][0] if found else None


# ---- broken lines and deaths -----------------------------------------------------------------------


def test_a_line_that_breaks_after_the_final_dot_may_double_the_mail(service, server, token, video):
    server.rule("dot", CLOSE)
    identifier = convert(service, token, video)
    unsure = wait_for_letter(service, identifier, "pending", 1)
    assert "may have been taken" in unsure["last_reply"]
    wake(service, identifier)
    wait_for_letter(service, identifier, "sent", 2)
    first, second = mails_about(server, identifier)
    assert first.message_id == second.message_id
    metrics = service.admin(NOTIFIER, "/metrics").body.decode()
    assert 'unreel_letters_total{outcome="uncertain"} 1' in metrics


def test_a_notifier_killed_after_the_final_dot_sends_the_same_mail_again(service, server, token,
                                                                         video):
    server.rule("dot", HOLD)
    identifier = convert(service, token, video)
    wait_until(lambda: mails_about(server, identifier), 60, what="the final dot")
    for pid in service.children("notifier"):
        os.kill(pid, signal.SIGKILL)
    wait_for_letter(service, identifier, "sending", 1)
    wake(service, identifier)  # the lease's end
    wait_for_letter(service, identifier, "sent", 2)
    first, second = mails_about(server, identifier)
    assert first.message_id == second.message_id


def test_a_notifier_killed_before_the_final_dot_sends_one_mail(service, server, token, video):
    server.rule("DATA", HANG)
    identifier = convert(service, token, video)
    wait_until(lambda: server.count("DATA"), 60, what="DATA")
    for pid in service.children("notifier"):
        os.kill(pid, signal.SIGKILL)
    wake(service, identifier)
    wait_for_letter(service, identifier, "sent", 2)
    assert len(mails_about(server, identifier)) == 1


def test_a_server_that_is_away_only_delays(running, token, video):
    service, port = running
    identifiers = [convert(service, token, video) for _ in range(3)]
    wait_until(lambda: "mail: " in service.admin(NOTIFIER, "/readyz").body.decode(), 90,
               what="readyz to say that mail is down")
    assert service.admin(NOTIFIER, "/livez").status == 200
    assert {mail_state(service, token, each) for each in identifiers} <= {"pending", "sending"}
    pids = service.children("notifier")
    with SmtpScript(port=port) as server:
        for identifier in identifiers:
            wait_for_letter(service, identifier, "sent", 1)
        assert [len(mails_about(server, each)) for each in identifiers] == [1] * 3
    assert service.children("notifier") == pids


# ---- stopping --------------------------------------------------------------------------------------


def test_a_server_that_is_away_is_not_said_to_work_because_nothing_is_due(running, token, video):
    service, port = running
    said = service.log().count("working again")
    identifier = convert(service, token, video)
    wait_until(lambda: "Connect" in letter(service, identifier)["last_reply"]
               or service.admin(NOTIFIER, "/readyz").status == 503, what="its absence to be noticed")
    answer = service.request("DELETE", f"/api/v1/conversions/{identifier}", token=token)
    assert answer.status in (202, 204)
    time.sleep(12)  # several pauses, and looks for letters that find none
    assert service.log().count("working again") == said
    with SmtpScript(port=port):
        wait_until(lambda: service.log().count("working again") > said, 120, what="it to work again")


def test_stopping_waits_for_no_server_and_spends_no_try(new_service, video):
    with SmtpScript() as server:
        service = new_service(settings={"UNREEL_MAIL": f"smtp://127.0.0.1:{server.port}"}).start()
        server.rule("RCPT", HANG)
        token = service.user("anna@example.org")
        identifier = convert(service, token, video)
        wait_until(lambda: server.count("RCPT"), 60, what="RCPT")
        begun = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begun < 30
        assert (letter(service, identifier)["state"], letter(service, identifier)["attempt"]) == \
            ("pending", 0)
        service.start()
        wait_for_letter(service, identifier, "sent", 1)
        assert len(mails_about(server, identifier)) == 1


# ---- passwords -------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_costs_no_mail(new_service, video):
    with SmtpScript(password="old") as server:
        url = f"smtp://unreel:old@127.0.0.1:{server.port}"
        service = new_service(settings={"UNREEL_MAIL": url}).start()
        token = service.user("anna@example.org")
        server.password = "new"
        identifier = convert(service, token, video)
        said = wait_until(lambda: (text := service.admin(NOTIFIER, "/readyz").body.decode())
                          .startswith("mail: ") and text, 90, what="readyz to say why")
        assert "535 5.7.8 who are you? (to AUTH)" in said and "old" not in said
        assert letter(service, identifier)["attempt"] == 0
        server.password = "old"
        wait_for_letter(service, identifier, "sent", 1)
        assert len(mails_about(server, identifier)) == 1
        assert "unreel:old" not in service.log()
