"""The auth role by itself: accounts, sessions, tokens, cookies, guessing, `unreel user`."""
import base64
import json
import os
import pty
import socket
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from distributed import Places
from service import (PASSWORD, UNREEL, Service, basic, clean_environment, free_ports, is_sanitized,
                     peak_memory_kib, wait_until)
from stores import tables_of


class Auth:
    """One `unreel auth` on a TCP port, with 127.0.0.1 as a proxy that it trusts."""

    def __init__(self, folder: Path, places: Places | None, **settings):
        self.folder, self.places = folder, places
        self.urls = places.urls if places else {
            "accounts": f"sqlite:{folder}/data/accounts.db", "jobs": f"sqlite:{folder}/data/jobs.db"}
        self.port = free_ports(2)
        self.log_path = folder / "log"
        self.environment = clean_environment() | {
            "UNREEL_DATA": str(folder / "data"), "UNREEL_AUTH_LISTEN": f"127.0.0.1:{self.port}",
            "UNREEL_ADMIN_LISTEN": f"127.0.0.1:{self.port + 1}",
            "UNREEL_ACCOUNTS": self.urls["accounts"], "UNREEL_JOBS": self.urls["jobs"],
            "UNREEL_TRUSTED_PROXIES": "127.0.0.1", **settings}
        self.process = None

    request = Service.request

    def run(self, *words, stdin: str | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([UNREEL, *words], env=self.environment, input=stdin or "", text=True,
                              capture_output=True, timeout=60)

    def start(self) -> "Auth":
        if self.places and self.process is None:
            self.places.make()
        migrated = self.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([UNREEL, "auth"], env=self.environment, stderr=log)
        wait_until(self.is_ready, what="auth to be ready\n" + self.log())
        return self

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.request("GET", "/readyz", port=self.port + 1).status == 200
        except OSError:
            return False

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def close(self):
        status = self.stop()
        if self.places:
            self.places.drop()
        assert status == 0, self.log()

    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def metrics(self) -> str:
        return self.request("GET", "/metrics", port=self.port + 1).body.decode()

    def register(self, email: str, password: str = PASSWORD):
        return self.request("POST", "/api/v1/accounts", {"email": email, "password": password})

    def log_in(self, email: str, password: str = PASSWORD, client: str | None = None, **more):
        headers = {"X-Forwarded-For": client} if client else {}
        return self.request("POST", "/api/v1/sessions",
                            {"email": email, "password": password, **more}, headers)

    def tokens(self, email: str) -> dict:
        """Registers if need be, and logs in."""
        assert self.register(email).status in (201, 409)
        answer = self.log_in(email)
        assert answer.status == 200, answer.body
        return answer.json

    def refresh(self, refresh_token: str):
        return self.request("POST", "/api/v1/sessions/refresh", {"refresh_token": refresh_token})


@pytest.fixture(scope="module")
def new_places(mode, request):
    """A function: where an auth keeps its tables when that is a server; None for files of its own."""
    return lambda: Places(request.getfixturevalue("servers")) if mode == "distributed" else None


@pytest.fixture(scope="module")
def auth(new_places, tmp_path_factory):
    running = Auth(tmp_path_factory.mktemp("auth"), new_places()).start()
    yield running
    running.close()
    assert "AddressSanitizer" not in running.log() and "runtime error" not in running.log()


@pytest.fixture
def new_auth(new_places, tmp_path):
    """A function that starts a role with settings of its own, stopped at the end."""
    made = []

    def make(**settings) -> Auth:
        folder = tmp_path / f"auth{len(made)}"
        folder.mkdir()
        made.append(Auth(folder, new_places(), **settings))
        return made[-1].start()

    yield make
    for each in made:
        each.close()


def claims_of(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def cookies_of(answer) -> dict:
    found = {}
    for line in answer.headers.get_all("Set-Cookie") or []:
        for name, morsel in SimpleCookie(line).items():
            found[name] = morsel
    return found


# ---- accounts --------------------------------------------------------------------------------------

def test_registering_makes_an_account_once(auth):
    answer = auth.register("Ann@example.org")
    assert answer.status == 201
    assert answer.json["email"] == "Ann@example.org" and len(answer.json["id"]) == 26
    assert answer.headers["Location"] == "/api/v1/account"
    again = auth.register("ann@EXAMPLE.org")
    assert (again.status, again.code) == (409, "email_taken")


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.org", "a b@example.org",
                                   "a@b.c\r\nBcc: x@y.z", "a" * 65 + "@example.org",
                                   "\u00fc@example.org", '"a"@example.org'],
                         ids=lambda email: email[:12])
def test_what_is_no_address_is_refused(auth, email):
    answer = auth.register(email)
    assert (answer.status, answer.code) == (400, "invalid_email")


@pytest.mark.parametrize("password", ["", "short", "password123", "with\ncontrol", "x" * 1025,
                                      "weak@example.org"], ids=lambda password: password[:12])
def test_weak_passwords_are_refused(auth, password):
    answer = auth.register("weak@example.org", password)
    assert (answer.status, answer.code) == (400, "weak_password")


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[]", b"null", b"{", b'{"email":"a@b.cd"}', b'{"email":7,"password":"correct horse"}',
    b'{"email":"a@b.cd","password":null}', b'{"email":"a@b.cd","password":"correct horse"} x',
    b'{"email":"a@b.cd","email":"b@b.cd","password":"correct horse"}',
    b'{"email":"a@b.cd","password":"correct horse","role":"admin"}',
    b'{"email":"a@b.cd","password":"nul \\u0000 inside"}', b'{"email":"a@b.cd","password":"\xff"}',
    b"[" * 16000], ids=lambda body: body[:24].decode("latin-1"))
def test_json_is_read_strictly(auth, body):
    answer = auth.request("POST", "/api/v1/accounts", body)
    assert (answer.status, answer.code) == (400, "invalid_json")


def test_a_password_of_a_megabyte_is_too_large(auth):
    for path in ("/api/v1/accounts", "/api/v1/sessions"):
        body = json.dumps({"email": "a@b.cd", "password": "x" * 1_000_000}).encode()
        head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", auth.port), timeout=20) as connection:
            connection.sendall(head)
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_closed_server_registers_nobody(new_auth):
    closed = new_auth(UNREEL_REGISTRATION="closed")
    answer = closed.register("ann@example.org")
    assert (answer.status, answer.code) == (403, "registration_closed")
    answer = closed.request("POST", "/register", headers={"Authorization": basic("b@example.org")})
    assert answer.status == 403
    made = closed.run("user", "add", "ann@example.org", "--password-stdin", stdin=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    assert closed.log_in("ann@example.org").status == 200


# ---- log-in ----------------------------------------------------------------------------------------

def test_both_ways_of_logging_in_give_tokens(auth):
    auth.register("both@example.org", "p\u00e4ss:wort:lang")
    by_json = auth.log_in("BOTH@example.org", "p\u00e4ss:wort:lang")
    by_basic = auth.request("POST", "/api/v1/sessions", headers={
        "Authorization": basic("both@example.org", "p\u00e4ss:wort:lang")})
    for answer in (by_json, by_basic):
        assert answer.status == 200, answer.body
        assert set(answer.json) == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert answer.json["token_type"] == "Bearer" and answer.json["expires_in"] == 900
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Set-Cookie"] is None
        claims = claims_of(answer.json["access_token"])
        assert claims["email"] == "both@example.org" and claims["role"] == "user"
        assert claims["exp"] - claims["iat"] == 900


def test_unknown_and_wrong_get_the_same_answer(auth):
    auth.register("same@example.org")
    wrong = auth.log_in("same@example.org", "not the password", client="198.51.100.1")
    unknown = auth.log_in("nobody@example.org", "not the password", client="198.51.100.1")
    assert (wrong.status, wrong.code) == (401, "invalid_credentials")
    assert wrong.body == unknown.body and wrong.status == unknown.status
    assert [name for name, _ in wrong.headers.items()] == [n for n, _ in unknown.headers.items()]


@pytest.mark.parametrize("header", [
    "Basic", "Basic ", "Basic ****", "Basic " + base64.b64encode(b"no colon").decode(),
    "Basic " + base64.b64encode(b":no name").decode(), "Basic " + base64.b64encode(b"a\0b:c").decode(),
    "Basic " + base64.b64encode(b"a:\xff").decode(), "Bearer x.y.z", "garbled", ""])
def test_garbled_authorization_is_401(auth, header):
    for path in ("/api/v1/sessions", "/login", "/register"):
        answer = auth.request("POST", path, headers={"Authorization": header})
        assert answer.status == 401, (path, answer.body)
        assert "WWW-Authenticate" in answer.headers


def test_no_credentials_at_all_is_401(auth):
    answer = auth.request("POST", "/api/v1/sessions")
    assert (answer.status, answer.code) == (401, "missing_credentials")


def test_guessing_at_an_account_is_slowed_down(auth):
    auth.register("guessed@example.org")
    failures = refusals = 0
    while failures < 5:
        answer = auth.log_in("guessed@example.org", f"guess {failures}",
                             client=f"203.0.113.{failures}")
        if answer.status == 429:
            refusals += 1
            time.sleep(int(answer.headers["Retry-After"]))
        else:
            assert answer.status == 401
            failures += 1
    # The right password has to wait as well, now 4 s.
    answer = auth.log_in("guessed@example.org", client="203.0.113.200")
    assert (answer.status, answer.code) == (429, "too_many_attempts")
    [seconds] = answer.headers.get_all("Retry-After")
    assert 1 <= int(seconds) <= 4 and refusals > 0
    wait_until(lambda: auth.log_in("guessed@example.org", client="203.0.113.200").status == 200, 20)
    assert auth.log_in("guessed@example.org", "guess", client="203.0.113.9").status == 401


def test_a_client_has_twenty_failures_a_minute(auth):
    auth.register("bystander@example.org")
    for number in range(20):
        answer = auth.log_in(f"victim{number}@example.org", "a guess", client="203.0.113.77")
        assert answer.status == 401
    answer = auth.log_in("bystander@example.org", client="203.0.113.77")
    assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60
    assert auth.log_in("bystander@example.org", client="203.0.113.78").status == 200


def test_many_guesses_at_once_do_not_slip_through(auth):
    auth.register("parallel@example.org")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(
            lambda n: auth.log_in("parallel@example.org", f"guess {n}",
                                  client=f"203.0.113.{100 + n}").status, range(40)))
    assert set(statuses) <= {401, 429}
    # Three are free and two more may have held a place then; a slow machine comes to later tries.
    assert statuses.count(401) <= 10, statuses


def test_fifty_log_ins_at_once_are_all_served_within_bounded_memory(new_auth):
    alone = new_auth()
    alone.register("crowd@example.org")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: alone.log_in("crowd@example.org"), range(50)))
    assert [answer.status for answer in answers] == [200] * 50
    if not is_sanitized():
        # Two hashes of 46 MiB at a time.
        assert peak_memory_kib(alone.process.pid) < 160 * 1024


def test_others_are_answered_while_many_log_in(new_auth):
    alone = new_auth(UNREEL_PASSWORD_HASHES="1", UNREEL_HTTP_WORKERS="2")
    tokens = alone.tokens("crowd@example.org")
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(alone.log_in, "crowd@example.org") for _ in range(40)]
        assert alone.request("GET", "/.well-known/jwks.json").status == 200
        assert alone.refresh(tokens["refresh_token"]).status in (200, 401)
        assert not all(each.done() for each in waiting)
        statuses = {each.result().status for each in waiting}
    # On a slow machine the last may wait in vain for their turn and are told so.
    assert 200 in statuses and statuses <= {200, 503}


# ---- sessions --------------------------------------------------------------------------------------

def test_a_refresh_replaces_both_tokens(auth):
    first = auth.tokens("refresh@example.org")
    answer = auth.refresh(first["refresh_token"])
    assert answer.status == 200
    assert answer.json["refresh_token"] != first["refresh_token"]
    assert claims_of(answer.json["access_token"])["sid"] == claims_of(first["access_token"])["sid"]
    assert auth.refresh(answer.json["refresh_token"]).status == 200


@pytest.mark.parametrize("token", ["", "x", "0" * 52, "' OR 1=1 --", "\u00fc" * 30, "x" * 10000],
                         ids=lambda token: token[:12])
def test_an_invented_refresh_token_is_refused(auth, token):
    answer = auth.refresh(token)
    assert (answer.status, answer.code) == (401, "invalid_refresh_token")


def test_a_refresh_token_used_again_ends_the_session(new_auth):
    alone = new_auth()
    first = alone.tokens("reuse@example.org")["refresh_token"]
    second = alone.refresh(first).json["refresh_token"]
    third = alone.refresh(second).json["refresh_token"]
    # The grace for a doubled request is 10 s: past it in the database, not by waiting.
    tables_of(alone.urls["accounts"]).rows("UPDATE session SET used_at = used_at - 60000")
    assert alone.refresh(first).status == 401
    answer = alone.refresh(third)
    assert (answer.status, answer.code) == (401, "invalid_refresh_token")


def test_sessions_are_listed_and_ended(auth):
    here, there = auth.tokens("list@example.org"), auth.tokens("list@example.org")
    token = here["access_token"]
    items = auth.request("GET", "/api/v1/sessions", token=token).json["items"]
    assert [item["current"] for item in items].count(True) == 1 and len(items) == 2
    assert set(items[0]) == {"id", "created_at", "used_at", "expires_at", "current"}
    other = claims_of(there["access_token"])["sid"]
    assert auth.request("DELETE", f"/api/v1/sessions/{other}", token=token).status == 204
    assert auth.refresh(there["refresh_token"]).status == 401
    assert len(auth.request("GET", "/api/v1/sessions", token=token).json["items"]) == 1
    assert auth.request("DELETE", "/api/v1/sessions/current", token=token).status == 204
    assert auth.refresh(here["refresh_token"]).status == 401


def test_another_users_session_is_not_found(auth):
    mine, his = auth.tokens("mine@example.org"), auth.tokens("his@example.org")
    identifier = claims_of(his["access_token"])["sid"]
    for each in (identifier, "01J00000000000000000000000", "x", "'"):
        answer = auth.request("DELETE", f"/api/v1/sessions/{each}", token=mine["access_token"])
        assert (answer.status, answer.code) == (404, "not_found")
    assert auth.refresh(his["refresh_token"]).status == 200


def test_all_sessions_end_at_once(auth):
    all_tokens = [auth.tokens("all@example.org") for _ in range(3)]
    answer = auth.request("DELETE", "/api/v1/sessions", token=all_tokens[0]["access_token"])
    assert answer.status == 204 and answer.body == b""
    assert [auth.refresh(each["refresh_token"]).status for each in all_tokens] == [401] * 3


def test_sessions_need_a_token(auth):
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", "/current"), ("DELETE", "/x")):
        assert auth.request(method, "/api/v1/sessions" + path).code == "missing_token"
        answer = auth.request(method, "/api/v1/sessions" + path, token="x.y.z")
        assert (answer.status, answer.code) == (401, "invalid_token")


# ---- cookies ---------------------------------------------------------------------------------------

def test_a_page_gets_cookies_and_no_token(auth):
    auth.register("page@example.org")
    answer = auth.log_in("page@example.org", cookie=True)
    assert answer.status == 200
    assert answer.json == {"token_type": "Cookie", "expires_in": 900}
    cookies = cookies_of(answer)
    assert set(cookies) == {"unreel_access", "unreel_refresh"}
    assert cookies["unreel_access"]["path"] == "/"
    assert cookies["unreel_refresh"]["path"] == "/api/v1/sessions"
    for cookie in cookies.values():
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and not cookie["secure"]
        assert int(cookie["max-age"]) > 0

    header = {"Cookie": f"unreel_access={cookies['unreel_access'].value}; "
                        f"unreel_refresh={cookies['unreel_refresh'].value}"}
    assert len(auth.request("GET", "/api/v1/sessions", headers=header).json["items"]) == 1
    refreshed = auth.request("POST", "/api/v1/sessions/refresh", headers=header)
    assert refreshed.json == {"token_type": "Cookie", "expires_in": 900}
    fresh = cookies_of(refreshed)
    assert fresh["unreel_refresh"].value != cookies["unreel_refresh"].value

    # The access cookie is over: the refresh cookie alone still logs out.
    gone = auth.request("DELETE", "/api/v1/sessions/current",
                        headers={"Cookie": f"unreel_refresh={fresh['unreel_refresh'].value}"})
    assert gone.status == 204
    assert all(c.value == "" and c["max-age"] == "0" for c in cookies_of(gone).values())
    over = auth.request("POST", "/api/v1/sessions/refresh",
                        headers={"Cookie": f"unreel_refresh={fresh['unreel_refresh'].value}"})
    assert over.status == 401 and set(cookies_of(over)) == {"unreel_access", "unreel_refresh"}


def test_cookies_are_secure_behind_https(auth):
    auth.register("secure@example.org")
    answer = auth.request("POST", "/api/v1/sessions",
                          {"email": "secure@example.org", "password": PASSWORD, "cookie": True},
                          {"X-Forwarded-Proto": "https"})
    assert all(cookie["secure"] for cookie in cookies_of(answer).values())


# ---- keys ------------------------------------------------------------------------------------------

def test_the_key_set_is_public_and_cacheable(auth):
    answer = auth.request("GET", "/.well-known/jwks.json")
    assert answer.status == 200 and answer.headers.get_all("Cache-Control") == ["max-age=300"]
    [key] = answer.json["keys"]
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
    token = auth.tokens("key@example.org")["access_token"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"]}


def test_the_key_stays_over_a_restart_and_is_its_owners_alone(new_auth):
    alone = new_auth()
    token = alone.tokens("ann@example.org")["access_token"]
    path = alone.folder / "data" / "keys" / "signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert alone.stop() == 0
    alone.start()
    answer = alone.request("POST", "/validate", token=token)
    assert answer.status == 200


# ---- the predecessors' routes ----------------------------------------------------------------------

def test_several_auth_roles_with_one_key_are_one(new_auth, tmp_path):
    key = tmp_path / "signing.key"
    assert subprocess.run([UNREEL, "make-key", key], env=clean_environment(), timeout=60).returncode == 0
    key.chmod(0o440)  # as Kubernetes mounts a secret
    shared = {"UNREEL_SIGNING_KEY": str(key), "UNREEL_ACCOUNTS": f"sqlite:{tmp_path}/accounts.db"}
    first, second = new_auth(**shared), new_auth(**shared)
    sets = [each.request("GET", "/.well-known/jwks.json").json for each in (first, second)]
    assert sets[0] == sets[1]
    tokens = first.tokens("ann@example.org")
    assert second.request("GET", "/api/v1/sessions", token=tokens["access_token"]).status == 200
    tokens = second.refresh(tokens["refresh_token"])
    assert tokens.status == 200, tokens.body
    assert first.refresh(tokens.json["refresh_token"]).status == 200


def test_the_predecessors_routes_answer_as_they_did(auth):
    credentials = {"Authorization": basic("old@example.org")}
    registered = auth.request("POST", "/register", headers=credentials)
    assert (registered.status, registered.body) == (200, b"success")
    assert auth.request("POST", "/register", headers=credentials).status == 409
    logged_in = auth.request("POST", "/login", headers=credentials)
    assert logged_in.status == 200
    assert logged_in.headers["Content-Type"].startswith("text/plain")
    token = logged_in.body.decode()
    validated = auth.request("POST", "/validate", token=token)
    assert validated.status == 200
    assert set(validated.json) == {"username", "email", "sub", "exp", "iat", "admin"}
    assert validated.json["username"] == "old@example.org" and validated.json["admin"] is False

    missing = auth.request("POST", "/login")
    assert (missing.status, missing.body) == (401, b"missing credentials")
    wrong = auth.request("POST", "/login", headers={
        "Authorization": basic("old@example.org", "not the password")})
    assert (wrong.status, wrong.body) == (401, b"invalid credentials")


def test_validate_tells_missing_from_bad(auth):
    missing = auth.request("POST", "/validate")
    assert (missing.status, missing.body) == (401, b"")
    good = auth.tokens("tampered@example.org")["access_token"]
    for header in ("Bearer x", "Bearer", "Basic eDp5", good, f"Bearer {good[:-2]}",
                   "Bearer " + "A" * 6000):
        answer = auth.request("POST", "/validate", headers={"Authorization": header})
        assert (answer.status, answer.body) == (403, b"not authorized"), header


def test_log_ins_by_text_do_not_end_sessions(auth):
    tokens = auth.tokens("script@example.org")
    for _ in range(11):
        answer = auth.request("POST", "/login",
                              headers={"Authorization": basic("script@example.org")})
        assert answer.status == 200
    assert auth.refresh(tokens["refresh_token"]).status == 200


# ---- what is written down --------------------------------------------------------------------------

def test_neither_passwords_nor_tokens_are_logged(new_auth):
    alone = new_auth(UNREEL_LOG_LEVEL="debug")
    tokens = alone.tokens("quiet@example.org")
    alone.log_in("quiet@example.org", "a wrong password here")
    header = basic("quiet@example.org", "another wrong one")
    alone.request("POST", "/login", headers={"Authorization": header})
    fresh = alone.refresh(tokens["refresh_token"]).json
    log = alone.log()
    for secret in (PASSWORD, "a wrong password here", "another wrong one", header.split()[1],
                   *(t[k] for t in (tokens, fresh) for k in ("access_token", "refresh_token")),
                   "quiet@example.org"):
        assert secret not in log
    assert 'msg="logged in"' in log and "account=01" in log
    assert 'unreel_logins_total{outcome="admitted"} 1' in alone.metrics()
    assert 'unreel_logins_total{outcome="refused"} 2' in alone.metrics()


# ---- unreel user -----------------------------------------------------------------------------------

def test_an_administrator_is_made_by_the_command_line(auth):
    made = auth.run("user", "add", "root@example.org", "--admin", "--password-stdin",
                    stdin=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    answer = auth.log_in("root@example.org")
    assert claims_of(answer.json["access_token"])["role"] == "admin"
    again = auth.run("user", "add", "root@example.org", "--password-stdin", stdin=PASSWORD + "\n")
    assert again.returncode == 1 and again.stderr.startswith("unreel: ")


def test_a_new_password_ends_the_sessions(auth):
    tokens = auth.tokens("forgot@example.org")
    done = auth.run("user", "reset-password", "forgot@example.org", "--password-stdin",
                    stdin="a brand new one\r\n")
    assert done.returncode == 0, done.stderr
    assert auth.refresh(tokens["refresh_token"]).status == 401
    assert auth.log_in("forgot@example.org", client="198.51.100.9").status == 401
    assert auth.log_in("forgot@example.org", "a brand new one", client="198.51.100.9").status == 200


@pytest.mark.parametrize("words, status", [
    ([], 2), (["add"], 2), (["remove", "a@b.cd"], 2), (["add", "a@b.cd", "b@b.cd"], 2),
    (["add", "a@b.cd", "--nothing"], 2), (["reset-password", "a@b.cd", "--admin"], 2),
    (["add", "a@b.cd"], 1), (["add", "no address", "--password-stdin"], 1),
    (["reset-password", "stranger@example.org", "--password-stdin"], 1), (["--help"], 0)])
def test_wrong_words_are_explained(auth, words, status):
    done = auth.run("user", *words, stdin="")
    assert done.returncode == status, done.stderr
    assert done.stderr or status == 0


def ask_on_terminal(auth: Auth, words: list[str], lines: list[str]) -> tuple[int, str]:
    """Runs the command on a terminal of its own; its exit status and what the terminal showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen([UNREEL, "user", *words], env=auth.environment, stdin=slave,
                               stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""
    asked = 0
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        shown += piece
        if asked < len(lines) and shown.count(b": ") > asked:
            time.sleep(0.2)  # the echo goes off after the prompt, with what came before thrown away
            os.write(master, lines[asked].encode() + b"\n")
            asked += 1
    os.close(master)
    return process.wait(30), shown.decode()


def test_a_terminal_is_asked_twice_without_echo(auth):
    status, shown = ask_on_terminal(auth, ["add", "tty@example.org"], ["typed by hand"] * 2)
    assert status == 0, shown
    assert "typed by hand" not in shown and "Once more" in shown
    assert auth.log_in("tty@example.org", "typed by hand").status == 200
    status, shown = ask_on_terminal(auth, ["add", "tty2@example.org"], ["typed by hand", "another"])
    assert status == 1 and "differ" in shown
