"""Who asks: tokens, cookies, other sites' pages, and what still works while auth is away."""
import os
import time
import uuid

import pytest

from gateway_client import claims_of, resign
from service import basic, wait_until


@pytest.fixture
def token(service) -> str:
    return service.user(f"{uuid.uuid4().hex}@example.org")


def account(service, headers=None, token=None, method="GET"):
    return service.request(method, "/api/v1/account", headers=headers, token=token)


def test_the_account_says_who_and_how_much(service):
    token = service.user("carla@example.org")
    answer = account(service, token=token)
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    claims = claims_of(token)
    assert answer.json == {
        "id": claims["sub"], "email": "carla@example.org", "role": claims["role"],
        "quota": {"bytes_used": 0, "bytes_limit": 20 << 30, "unfinished": 0,
                  "unfinished_limit": 100}}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"},
                                     {"Cookie": "other=1"}])
def test_without_a_token_there_is_a_challenge(service, headers):
    answer = account(service, headers)
    assert (answer.status, answer.code) == (401, "missing_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_is_over_is_told_from_a_wrong_one(service, token, tmp_path):
    now = int(time.time())
    assert account(service, token=resign(service, token, tmp_path)).status == 200
    over = resign(service, token, tmp_path, iat=now - 900, exp=now - 60)
    answer = account(service, token=over)
    assert (answer.status, answer.code) == (401, "expired_token")
    wrong = {
        "another key": resign(service, token, tmp_path, seed=os.urandom(32)),
        "an unknown key": resign(service, token, tmp_path, header={"kid": "unknown"}),
        "no signature": token.rsplit(".", 1)[0] + ".",
        "alg none": resign(service, token, tmp_path, header={"alg": "none"}),
        "no token at all": "x",
        "a long one": "x" * 5000,
    }
    for name, bad in wrong.items():
        answer = account(service, token=bad)
        assert (answer.status, answer.code) == (401, "invalid_token"), name


def test_other_claims_need_another_signature(service, token):
    head, _, signature = token.split(".")
    other = service.user(f"{uuid.uuid4().hex}@example.org").split(".")[1]
    assert account(service, token=f"{head}.{other}.{signature}").code == "invalid_token"


def test_a_cookie_is_enough_to_read(service, token):
    assert account(service, {"Cookie": f"unreel_access={token}"}).status == 200
    assert account(service, {"Cookie": "unreel_access=x"}).code == "invalid_token"


@pytest.mark.parametrize("origin, status", [
    ("own", 404), (None, 403), ("null", 403), ("http://evil.example", 403),
    ("https own", 403), ("own with a path", 403)])
def test_with_a_cookie_changes_must_come_from_a_page_of_this_server(service, token, origin, status):
    own = service.url
    origins = {"own": own, "https own": own.replace("http:", "https:"), "own with a path": own + "/x"}
    headers = {"Cookie": f"unreel_access={token}"}
    if origin is not None:
        headers["Origin"] = origins.get(origin, origin)
    answer = service.request("DELETE", "/api/v1/conversions/01J00000000000000000000000",
                             headers=headers)
    assert answer.status == status
    if status == 403:
        assert answer.code == "cross_origin"


def test_a_bearer_token_wins_over_a_cookie(service, token):
    other = service.user("winner@example.org")
    headers = {"Cookie": f"unreel_access={token}", "Origin": "http://evil.example"}
    assert account(service, headers, token=other).json["email"] == "winner@example.org"
    answer = service.request("DELETE", "/api/v1/conversions/01J00000000000000000000000",
                             headers=headers, token=other)
    assert answer.status == 404, "no cookie is used, so the origin does not matter"
    assert account(service, headers, token="x").code == "invalid_token"


def test_a_browser_logs_in_with_cookies_and_out_again(service):
    email = f"{uuid.uuid4().hex}@example.org"
    service.user(email)
    log_in = {"email": email, "password": "correct horse battery", "cookie": True}
    foreign = service.request("POST", "/api/v1/sessions", log_in, {"Origin": "http://evil.example"})
    assert (foreign.status, foreign.code) == (403, "cross_origin")
    answer = service.request("POST", "/api/v1/sessions", log_in, {"Origin": service.url})
    assert answer.status == 200
    cookies = answer.headers.get_all("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie
    jar = {"Cookie": "; ".join(cookie.split(";")[0] for cookie in cookies)}
    assert account(service, jar).json["email"] == email
    refused = service.request("POST", "/api/v1/sessions/refresh", headers=jar)
    assert (refused.status, refused.code) == (403, "cross_origin")
    own = jar | {"Origin": service.url}
    refreshed = service.request("POST", "/api/v1/sessions/refresh", headers=own)
    assert refreshed.status == 200, refreshed.body
    jar = {"Cookie": "; ".join(cookie.split(";")[0]
                               for cookie in refreshed.headers.get_all("Set-Cookie")),
           "Origin": service.url}
    assert service.request("DELETE", "/api/v1/sessions/current", headers=jar).status in (200, 204)
    assert service.request("POST", "/api/v1/sessions/refresh", headers=jar).status == 401


@pytest.mark.parametrize("method, path", [
    ("DELETE", "/api/v1/sessions"), ("DELETE", "/api/v1/sess%69ons"),
    ("DELETE", "/api/v1/sessions/current"), ("POST", "/api/v1/sessions/refresh")])
def test_credentials_that_are_no_bearer_token_do_not_replace_the_origin(service, method, path):
    email = f"{uuid.uuid4().hex}@example.org"
    service.user(email)
    answer = service.request("POST", "/api/v1/sessions",
                             {"email": email, "password": "correct horse battery", "cookie": True})
    jar = "; ".join(cookie.split(";")[0] for cookie in answer.headers.get_all("Set-Cookie"))
    headers = {"Cookie": jar, "Authorization": basic("x@example.org")}
    refused = service.request(method, path, headers=headers)
    assert (refused.status, refused.code) == (403, "cross_origin")
    own = service.request("POST", "/api/v1/sessions/refresh",
                          headers={"Cookie": jar, "Origin": service.url})
    assert own.status == 200, "the session goes on"


def test_a_log_in_with_basic_from_a_foreign_page_is_refused(service):
    headers = {"Authorization": basic("winner@example.org"), "Origin": "http://evil.example"}
    for path in ("/api/v1/sessions", "/login", "/register"):
        answer = service.request("POST", path, headers=headers)
        assert (answer.status, answer.code) == (403, "cross_origin")


def test_answers_of_auth_come_through_with_their_codes(service):
    first = service.register("dora@example.org")
    assert first.status == 201 and first.json["email"] == "dora@example.org"
    assert service.register("dora@example.org").status == 409
    wrong = service.request("POST", "/api/v1/sessions",
                            {"email": "dora@example.org", "password": "wrong"})
    assert wrong.status == 401
    assert wrong.headers["Content-Type"] == "application/problem+json"
    assert "WWW-Authenticate" in wrong.headers
    keys = service.request("GET", "/.well-known/jwks.json")
    assert keys.status == 200 and keys.json["keys"][0]["kty"] == "OKP"
    token = service.login("dora@example.org")
    assert service.request("GET", "/api/v1/sessions", token=token).status == 200
    large = service.request("POST", "/api/v1/sessions", b"x" * 20000,
                            {"Content-Type": "application/json"})
    assert large.status == 413


def test_people_who_are_logged_in_go_on_while_auth_is_away(service, token):
    with service.not_restarted():
        auth = service.children("auth")[0]
        os.kill(auth, 9)
        answer = wait_until(lambda: (a := service.request(
            "POST", "/api/v1/sessions", {"email": "a@b.org", "password": "x"})).status == 503 and a,
            what="auth to be away")
        assert answer.code == "auth_unavailable"
        assert len(answer.headers.get_all("Retry-After")) == 1
        assert account(service, token=token).status == 200
        assert service.upload(token, b"x").status == 201
        assert service.admin(0, "/readyz").status == 200
    wait_until(lambda: service.request("GET", "/.well-known/jwks.json").status == 200,
               what="auth to be back")


def test_a_new_signing_key_is_noticed(new_service):
    service = new_service().start()
    old = service.user("ann@example.org")
    (service.data / "keys/signing.key").write_text(os.urandom(32).hex() + "\n")
    auth = service.children("auth")[0]
    os.kill(auth, 15)
    wait_until(lambda: auth not in service.children("auth") and service.children("auth") and
               service.is_ready(), what="auth to start again")
    new = service.login("ann@example.org")
    wait_until(lambda: account(service, token=new).status == 200, what="the new key to be fetched")
    assert account(service, token=old).code == "invalid_token"


def test_the_home_page_explains_itself(service):
    answer = service.request("GET", "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    page = answer.body.decode()
    assert f"{service.url}/api/v1/conversions" in page and "<script" not in page
    assert 'lang="en"' in page and "viewport" in page and "prefers-color-scheme" in page
    evil = service.request("GET", "/", headers={"Host": "x\"><b>"})
    assert evil.status == 400 or b"<b>" not in evil.body
    assert service.request("GET", "/nothing").status == 404
    assert service.request("DELETE", "/").status == 405


def test_readiness_names_what_the_gateway_needs(new_service):
    service = new_service().start()
    assert service.admin(0, "/readyz").status == 200
    metrics = service.admin(0, "/metrics").body.decode()
    for dependency in ("jobs", "blobs", "auth"):
        assert f'unreel_dependency_up{{dependency="{dependency}"}} 1' in metrics
