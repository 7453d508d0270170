"""`unreel serve`: children come back, stop in order, and never outlive it."""
import os
import signal
import subprocess

import pytest

from service import UNREEL, clean_environment, wait_until


@pytest.mark.one_machine
def test_a_killed_role_comes_back_and_its_death_is_written_down(new_service):
    service = new_service().start()
    for role in ("gateway", "auth", "converter", "notifier"):
        pid = service.children(role)[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda r=role, p=pid: service.children(r) and p not in service.children(r), 30,
                   what=f"{role} to come back")
        wait_until(service.is_ready, 30, what="all to be ready")
        assert f"pid={pid} how=\"killed by signal 9 (Killed)\" was=ready" in service.log()


@pytest.mark.one_machine
def test_children_die_with_a_killed_supervisor(new_service):
    service = new_service().start()
    assert len(service.children()) == 5
    service.kill()
    service.start()


@pytest.mark.one_machine
def test_stop_is_ordered_and_clean(new_service):
    service = new_service().start()
    assert service.stop() == 0
    ended = [line for line in service.log().splitlines() if 'msg="child ended"' in line]
    roles = [line.split("child=")[1].split()[0] for line in ended]
    assert len(ended) == 5 and roles[0] == "gateway" and roles[-1] == "auth"
    assert all('how="exit 0"' in line for line in ended), ended


@pytest.mark.one_machine
def test_ctrl_c_stops_in_the_same_order(new_service):
    service = new_service().start()
    os.killpg(service.process.pid, signal.SIGINT)  # what a terminal does
    assert service.process.wait(60) == 0
    ended = [line for line in service.log().splitlines() if 'msg="child ended"' in line]
    roles = [line.split("child=")[1].split()[0] for line in ended]
    assert len(ended) == 5 and roles[0] == "gateway" and roles[-1] == "auth"
    assert all("was=stopping" in line for line in ended), ended


@pytest.mark.one_machine
def test_a_second_serve_on_the_same_data_is_refused(new_service):
    service = new_service().start()
    second = subprocess.run([UNREEL, "serve", "--data", service.data, "--listen", "127.0.0.1:0"],
                            env=clean_environment(), capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert "another `unreel serve` uses" in second.stderr


def test_operators_ports_tell_the_truth(new_service):
    service = new_service().start()
    for index in range(5):
        assert service.admin(index, "/livez").status == 200
        assert service.admin(index, "/readyz").status == 200
        assert b"# TYPE unreel_dependency_up gauge" in service.admin(index, "/metrics").body
    assert service.admin(0, "/nothing").status == 404


def test_a_stopped_auth_leaves_people_who_are_logged_in_alone(new_service, video):
    service = new_service().start()
    token = service.user("anna@example.org")
    auth = service.children("auth")[0]
    os.kill(auth, signal.SIGSTOP)
    try:
        identifier = service.upload(token, video).json["id"]
        service.wait_for(token, identifier, "ready")
        answer = service.request("POST", "/api/v1/sessions",
                                 {"email": "anna@example.org", "password": "x"}, timeout_s=40)
        assert answer.status == 503 and answer.headers["Retry-After"]
    finally:
        os.kill(auth, signal.SIGCONT)
    wait_until(service.is_ready, 30, what="all to be ready")
    assert service.login("anna@example.org")
