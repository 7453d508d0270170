"""Wrong settings are one clear line each, and no secret is ever said."""
import json
import re
import subprocess
import uuid
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from gateway_client import form, send_form
from service import (UNREEL, Service, basic, clean_environment, command_line, free_ports,
                     wait_until)

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

CANARY = "canary"  # every secret of this file has it inside
COMMANDS = ["serve", "convert", "probe", "user", "make-key", "healthcheck", "check-config", "migrate",
            "gateway", "auth", "converter", "notifier"]


def run(*words, settings=None, stdin: str = "") -> subprocess.CompletedProcess:
    return subprocess.run([UNREEL, *map(str, words)], env=clean_environment() | (settings or {}),
                          input=stdin, capture_output=True, text=True, timeout=120)


# ---- at the start ----------------------------------------------------------------------------------

FORM = "the form is scheme://user:password@host:port/path"
WRONG = [  # setting, value, what is said
    ("jobs", "mysqll://u:canary@h/db", "no database is called 'mysqll:'"),
    ("jobs", "canary", "not a URL such as sqlite:"),
    ("accounts", "mysql:u:canary@h/db", FORM),
    ("jobs", "mysql://u:canary@h:port/db", "a port is a number from 1 to 65535"),
    ("jobs", "mysql://u:canary@/db", "a host name is missing or too long"),
    ("jobs", "mysql://u:canary@h", "the form is mysql://USER:PASSWORD@HOST"),
    ("jobs", "mysql://u:canary%@h/db", "'%' in the password needs two hex digits"),
    ("jobs", "mysql://u:canary@h/db?tsl=off", "there is no parameter 'tsl'"),
    ("jobs", "mysql://u:canary@h/db?tls=maybe", "tls is one of off, required, verify"),
    ("jobs", "mysql://u:can/ary@h/db", "'/' and '?' in a password are %2F, %3F"),
    ("queue", "amqp://u:canary@h:0/", "a port is a number from 1 to 65535"),
    ("queue", "amqp://h/canary", "amqp:// needs USER:PASSWORD@HOST"),
    ("queue", "amqp://u:canary@h/?tls=off", "there is no parameter 'tls'"),
    ("queue", "rabbitmq://u:canary@h/", "no queue is called 'rabbitmq:'"),
    ("blobs", "s3://u:canary@h/bucket", "no blob store is called 's3:'"),
    ("blobs", "mongodb://u:canary@h", "the URL needs the name of a database"),
    ("blobs", "mongodb://u:can/ary@h/db", "the URL cannot be read"),
    ("blobs", "mongodb://u:canary@h:x/db", "Invalid host string"),
    ("blobs", "mongodb://u:canary@h/db?option=canary", "an option that MongoDB's library does not know"),
    ("mail", "smtp://u:canary@h/x", "a path means nothing here"),
    ("mail", "smtp://u:canary@h?tls=maybe", "tls is off or required"),
    ("mail", "smtp://canary@h", "the user has no password"),
    ("mail", "smtp://u:canary@mail.example.org?tls=off", "would send the password readable for all"),
    ("mail", "imap://u:canary@h/", "no way to send mail is called 'imap:'"),
    ("mail-from", "canary", "the form is Name <address>, in UTF-8"),
    ("auth-url", "http://u:canary@h:8082", "it names one host, and no user or parameter"),
    ("public-url", "video.example.org", "the form is https://HOST"),
    ("public-url", "https://u:canary@h", "it names one host, and no user or parameter"),
    ("auth-url", "ftp:canary", "the form is unix:PATH, http://HOST:PORT or https://"),
]


def assert_one_line(result, start: str, text: str):
    lines = result.stderr.splitlines()
    assert result.returncode == 2 and result.stdout == ""
    assert lines[0] == "unreel: the settings are not right:" and len(lines) == 2, lines
    assert lines[1].startswith(start) and text in lines[1]
    assert CANARY not in result.stderr


@pytest.mark.parametrize("setting,value,text", WRONG)
def test_a_wrong_url_is_one_line_without_its_password(setting, value, text, tmp_path):
    variable = "UNREEL_" + setting.upper().replace("-", "_")
    secret = tmp_path / "secret"
    secret.write_text(value + "\n")
    results = [run("check-config", f"--{setting}={value}"),
               run("check-config", settings={variable: value}),
               run("check-config", settings={variable + "_FILE": str(secret)})]
    for result in results:
        assert_one_line(result, "", text)
        assert setting in result.stderr or variable in result.stderr


@pytest.mark.parametrize("command", ["serve", "migrate", "healthcheck", "gateway", "auth", "converter",
                                     "notifier"])
def test_every_command_refuses_wrong_settings_at_its_start(command, tmp_path):
    result = run(command, "--data", tmp_path / "data", "--jobs", "mysql://u:canary@h/db?tsl=off")
    assert_one_line(result, "jobs: ", "there is no parameter 'tsl'")
    assert not (tmp_path / "data").exists()


def test_a_secret_file_that_is_missing_empty_or_a_folder_is_one_line(tmp_path):
    (tmp_path / "empty").touch()
    for path, text in (("nothing", "No such file or directory"), ("empty", "is empty"),
                       (".", "Is a directory")):
        result = run("check-config", settings={"UNREEL_JOBS_FILE": str(tmp_path / path)})
        assert_one_line(result, "UNREEL_JOBS_FILE: ", text)


def test_several_faults_are_several_lines():
    result = run("check-config", "--mail", "canary:x", "--queue", "amqp://canary", "--lgo", "json",
                 settings={"UNREEL_JOBS_FILE": "/nonexistent"})
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 6, result.stderr


@pytest.mark.parametrize("content", ["", "canary\n", "0" * 63 + "\n"])
def test_a_signing_key_that_is_none_is_one_line(content, tmp_path):
    key = tmp_path / "key"
    key.write_text(content)
    key.chmod(0o600)
    result = run("auth", "--data", tmp_path / "data", "--signing-key", key)
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert f"signing key {key}: not 64 hex digits" in result.stderr and CANARY not in result.stderr
    key.chmod(0o644)
    result = run("auth", "--data", tmp_path / "data", "--signing-key", key)
    assert "others can read it" in result.stderr and result.stderr.count("\n") == 1


# ---- while it runs ---------------------------------------------------------------------------------

@contextmanager
def role(name: str, folder: Path, **settings):
    """One role by itself; the function that asks its /readyz."""
    listen = f"127.0.0.1:{free_ports(2)}"
    other = f"{listen[:-1]}{(int(listen[-1]) + 1) % 10}"
    environment = {"UNREEL_DATA": str(folder / "data"), "UNREEL_ADMIN_LISTEN": listen,
                   "UNREEL_LISTEN": other, "UNREEL_LOG_LEVEL": "debug", **settings}
    assert run("check-config", settings=environment).returncode == 0
    log_path = folder / "log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen([UNREEL, name], env=clean_environment() | environment, stderr=log)
    try:
        yield environment
    finally:
        process.terminate()
        assert process.wait(60) == 0, log_path.read_text()
        assert CANARY not in log_path.read_text()


def line_of(port: str, environment: dict) -> str:
    """What /readyz says about that port, once it says anything but what is well."""
    def look():
        said = run("healthcheck", "--ready", settings=environment).stderr
        assert CANARY not in said
        found = re.search(rf"(?:: |; ){port}: ([^;\n]*)", said)
        return found and found[1]
    return wait_until(look, 60, 0.2, f"a line about {port}")


def with_password(url: str, user: str, password: str, path: str) -> str:
    """The same server with another user."""
    parts = urlsplit(url)
    account = f"{user}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{account}@{parts.netloc.split('@')[-1]}", path=path))


NOBODY = [  # role, its line, setting, URL, what is said
    ("auth", "accounts", "UNREEL_ACCOUNTS", "mysql://u:canary@127.0.0.1:{port}/db",
     "127.0.0.1:{port}: Can't connect to server"),
    ("gateway", "jobs", "UNREEL_JOBS", "mysql://u:canary@127.0.0.1:{port}/db",
     "127.0.0.1:{port}: Can't connect to server"),
    ("gateway", "auth", "UNREEL_AUTH_URL", "http://127.0.0.1:{port}", "not known yet"),
    ("converter", "queue", "UNREEL_QUEUE", "amqp://u:canary@127.0.0.1:{port}/",
     "RabbitMQ at 127.0.0.1:{port}: it takes no connection"),
    ("converter", "blobs", "UNREEL_BLOBS", "file:/nonexistent", "there is no /nonexistent/incoming"),
    ("gateway", "blobs", "UNREEL_BLOBS", "mongodb://u:canary@127.0.0.1:{port}/db",
     "connection refused calling hello on '127.0.0.1:{port}'"),
    ("notifier", "mail", "UNREEL_MAIL", "smtp://u:canary@127.0.0.1:{port}",
     "127.0.0.1:{port}: connecting: "),
]


@pytest.mark.parametrize("name,port,variable,url,text", NOBODY)
def test_a_server_that_does_not_answer_is_one_line(name, port, variable, url, text, tmp_path):
    closed = free_ports(1)
    url, text = url.format(port=closed), text.format(port=closed)
    with role(name, tmp_path, **{variable: url}) as environment:
        assert text in line_of(port, environment)
        asked = run("check-config", "--connect", name, settings=environment)
        assert asked.returncode == 1 and CANARY not in asked.stdout + asked.stderr
        assert sum(line.startswith(variable[7:].lower().replace("_", "-") + ": ")
                   for line in asked.stdout.splitlines()) == 1


DENIED = [
    ("auth", "accounts", "UNREEL_ACCOUNTS", "MYSQL", "Access denied for user"),
    ("notifier", "jobs", "UNREEL_JOBS", "MYSQL", "Access denied for user"),
    ("notifier", "queue", "UNREEL_QUEUE", "RABBITMQ", "the user or the password is not accepted"),
    ("converter", "blobs", "UNREEL_BLOBS", "MONGODB", "MongoDB does not let this user"),
]


@pytest.mark.parametrize("name,port,variable,kind,text", DENIED)
def test_a_wrong_password_is_one_line_without_it(name, port, variable, kind, text, servers, tmp_path):
    url = with_password(servers[f"UNREEL_TEST_{kind}"], "unreel", "not-the-canary", "unreel")
    with role(name, tmp_path, **{variable: url}) as environment:
        assert text in line_of(port, environment)
        asked = run("check-config", "--connect", name, settings=environment)
        assert asked.returncode == 1 and text in asked.stdout and CANARY not in asked.stdout
        if kind in ("MYSQL", "MONGODB"):
            migrated = run("migrate", settings=environment)
            assert migrated.returncode == 1 and migrated.stderr.count("\n") == 1
            assert text in migrated.stderr and CANARY not in migrated.stderr


def test_plain_mail_where_encryption_is_required_is_one_line(servers, tmp_path):
    url = servers["UNREEL_TEST_SMTP"] + "?tls=required"
    with role("notifier", tmp_path, UNREEL_MAIL=url) as environment:
        assert "STARTTLS not supported" in line_of("mail", environment)


class MailServer:
    """Takes mail from one user, whose password is a canary, and no other."""

    password = "canary/smtp@1"

    def __init__(self):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
        self.texts = []
        self.controller = Controller(
            self, "127.0.0.1", free_ports(1), auth_required=True, auth_require_tls=False,
            authenticator=lambda server, session, envelope, mechanism, data: AuthResult(
                success=data.password == self.password.encode(), handled=False))
        self.controller.start()

    async def handle_DATA(self, server, session, envelope):
        self.texts.append(envelope.content.decode())
        return "250 kept"

    def url(self, password: str = password) -> str:
        return f"smtp://unreel:{quote(password, safe='')}@127.0.0.1:{self.controller.port}"


@pytest.fixture
def mail_server():
    started = MailServer()
    yield started
    started.controller.stop()


def test_a_mail_server_that_refuses_the_password_is_one_line_without_it(mail_server, tmp_path):
    with role("notifier", tmp_path, UNREEL_MAIL=mail_server.url("not the canary")) as environment:
        assert "535" in line_of("mail", environment)


@pytest.mark.one_machine
def test_connect_says_of_each_port_that_it_answers(service):
    settings = {"UNREEL_DATA": str(service.data)}
    result = run("check-config", "--connect", settings=settings)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "".join(f"{port}: answers\n" for port in
                                    ("accounts", "jobs", "blobs", "queue", "mail", "auth-url"))
    result = run("check-config", "--connect", "converter", settings=settings)
    assert result.stdout == "jobs: answers\nblobs: answers\nqueue: answers\n"
    assert run("check-config", "--connect", "nobody", settings=settings).returncode == 2


# ---- no secret is said -----------------------------------------------------------------------------

SIGNING_KEY = "0ca7a210" * 8
USER_PASSWORD = "the canary of a user"


@contextmanager
def mysql_database(server: str):
    """A database of its own, whose user has a canary for a password; its URL."""
    import pymysql
    url = urlsplit(server)
    name = "canary_" + uuid.uuid4().hex[:12]
    with pymysql.connect(host=url.hostname, port=url.port, user=url.username,
                         password=url.password) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        cursor.execute(f"CREATE USER {name}@'%%' IDENTIFIED BY 'canary/mysql@1'", ())
        cursor.execute(f"GRANT ALL ON {name}.* TO {name}@'%%'", ())
        try:
            yield with_password(server, name, "canary/mysql@1", name)
        finally:
            cursor.execute(f"DROP DATABASE {name}")
            cursor.execute(f"DROP USER {name}@'%%'", ())


@contextmanager
def rabbitmq_host(server: str, management_url: str):
    """A virtual host of its own, whose user has a canary for a password; its URL."""
    import urllib.request
    management, name = urlsplit(management_url), "canary-" + uuid.uuid4().hex[:12]

    def manage(method: str, path: str, body=None):
        request = urllib.request.Request(
            f"http://{management.hostname}:{management.port}/api/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json",
                     "Authorization": basic(management.username, management.password)})
        urllib.request.urlopen(request, timeout=30).close()

    manage("PUT", f"vhosts/{name}", {})
    manage("PUT", f"users/{name}", {"password": "canary/rabbitmq@1", "tags": ""})
    manage("PUT", f"permissions/{name}/{name}", {"configure": ".*", "write": ".*", "read": ".*"})
    try:
        yield with_password(server, name, "canary/rabbitmq@1", name)
    finally:
        manage("DELETE", f"vhosts/{name}")
        manage("DELETE", f"users/{name}")


@contextmanager
def mongodb_database(server: str):
    """A database of its own, whose user has a canary for a password; its URL."""
    from pymongo import MongoClient
    name = "canary_" + uuid.uuid4().hex[:12]
    with MongoClient(server, serverSelectionTimeoutMS=30000) as client:
        client[name].command("createUser", name, pwd="canary/mongodb@1",
                             roles=[{"role": "readWrite", "db": name}])
        try:
            yield with_password(server, name, "canary/mongodb@1", name)
        finally:
            client[name].command("dropUser", name)
            client.drop_database(name)


class Secrets:
    """Collects what must not be said, and what was said."""

    def __init__(self):
        self.secrets = {CANARY, SIGNING_KEY, basic("ann@example.org", USER_PASSWORD).split()[1]}
        self.said = []

    def hide(self, *secrets: str):
        self.secrets.update(part for secret in secrets for part in [secret, *secret.split(".")]
                            if len(part) > 20)

    def say(self, result: subprocess.CompletedProcess):
        self.said.append(f"{result.args}\n{result.stdout}\n{result.stderr}")
        return result

    def check(self):
        for text in self.said:
            for secret in self.secrets:
                at = text.find(secret)
                # The names of the database and the virtual host have it too: they are no secrets.
                while at >= 0 and re.match(r"canary[_-][0-9a-f]{12}\b", text[at:]):
                    at = text.find(secret, at + 1)
                assert at < 0, text[max(0, at - 300):at + 100]


def cookies_of(answer) -> list[str]:
    return [line.split(";")[0].split("=", 1)[1]
            for line in answer.headers.get_all("Set-Cookie") or []]


def log_in_every_way(service: Service, secrets: Secrets) -> str:
    """Right and wrong; an access token."""
    credentials = {"email": "ann@example.org", "password": USER_PASSWORD}
    assert service.register(**credentials).status == 201
    service.register("bob@example.org", "canary")
    service.login(**credentials)
    for answer in (service.request("POST", "/api/v1/sessions", credentials | {"password": "canary" * 4}),
                   service.request("POST", "/login", headers={
                       "Authorization": basic("ann@example.org", "no canary of mine")})):
        assert answer.status == 401
    text = service.request("POST", "/login", headers={
        "Authorization": basic("ann@example.org", USER_PASSWORD)}).body.decode()
    page = service.request("POST", "/api/v1/sessions", credentials | {"cookie": True})
    tokens = service.request("POST", "/api/v1/sessions", credentials).json
    fresh = service.request("POST", "/api/v1/sessions/refresh",
                            {"refresh_token": tokens["refresh_token"]}).json
    secrets.hide(text, *cookies_of(page), *(each[key] for each in (tokens, fresh)
                                            for key in ("access_token", "refresh_token")))
    cookie = "; ".join(line.split(";")[0] for line in page.headers.get_all("Set-Cookie"))
    assert service.request("GET", "/api/v1/sessions", headers={"Cookie": cookie}).status == 200
    refreshed = service.request("POST", "/api/v1/sessions/refresh", {}, headers={
        "Cookie": cookie, "Origin": service.url})
    assert refreshed.status == 200, refreshed.body
    secrets.hide(*cookies_of(refreshed))
    for wrong in (text[:-4], text + "A", "canary.canary.canary"):
        assert service.request("GET", "/api/v1/account", token=wrong).status == 401
    return fresh["access_token"]


def convert_and_fetch(service: Service, token: str, video: Path, mails, secrets: Secrets):
    """The main job, one that fails, links that work and that do not."""
    identifier = service.upload(token, video).json["id"]
    failed = service.upload(token, b"canary of no video").json["id"]
    service.wait_for(token, identifier, "ready")
    service.wait_for(token, failed, "failed")
    send_form(service, token, *form(("file", "x.mp4", b"x")), headers={"Idempotency-Key": "x" * 500})
    made = service.request("POST", f"/api/v1/conversions/{identifier}/links", token=token).json["url"]
    mail = wait_until(lambda: mails(identifier), what="the mail")[0]
    mailed = re.search(r"https?://\S+/d/\S+", mail)[0]
    for url in (made, mailed):
        secrets.hide(url.rsplit("/", 1)[1])
        assert service.request("GET", url.removeprefix(service.url)).status == 200
        assert service.request("GET", url.removeprefix(service.url)[:-1] + "~").status in (400, 404)
    audio = f"/api/v1/conversions/{identifier}/audio"
    assert service.request("GET", audio, token=token).status == 200
    assert service.request("GET", audio + f"?access_token={CANARY}").status == 401
    service.request("DELETE", f"/api/v1/conversions/{identifier}", token=token)


def ask_everything(service: Service, secrets: Secrets, settings: dict):
    """Every output that there is."""
    for words in (["check-config"], ["check-config", "--connect"], ["healthcheck", "--ready"],
                  ["migrate"], *([command, "--help"] for command in COMMANDS)):
        result = secrets.say(run(*words, settings=settings))
        assert result.returncode == 0, result
    added = secrets.say(run("user", "add", "eve@example.org", "--password-stdin", settings=settings,
                            stdin="a canary by hand\n"))
    assert added.returncode == 0, added.stderr
    for password in ("canary", "another canary by hand"):
        secrets.say(run("user", "reset-password", "eve@example.org", "--password-stdin",
                        settings=settings, stdin=password + "\n"))
    for index in range(len(service.admin_ports)):
        for path in ("/livez", "/readyz", "/metrics"):
            secrets.said.append(service.admin(index, path).body.decode())
    for pid in [service.process.pid, *service.children()]:
        secrets.said.append(" ".join(command_line(pid)))


@contextmanager
def stores_with_passwords(servers: dict, mail_server: MailServer):
    with mysql_database(servers["UNREEL_TEST_MYSQL"]) as database, \
            mongodb_database(servers["UNREEL_TEST_MONGODB"]) as blobs, \
            rabbitmq_host(servers["UNREEL_TEST_RABBITMQ"],
                          servers["UNREEL_TEST_RABBITMQ_MANAGEMENT"]) as queue:
        yield {"UNREEL_JOBS": database, "UNREEL_ACCOUNTS": database, "UNREEL_QUEUE": queue,
               "UNREEL_BLOBS": blobs, "UNREEL_MAIL": mail_server.url()}


@pytest.mark.one_machine
@pytest.mark.parametrize("has_servers", [False, True], ids=["own stores", "servers"])
def test_no_secret_is_said_by_anything(has_servers, mail_server, new_service, video, request, tmp_path):
    with (stores_with_passwords(request.getfixturevalue("servers"), mail_server) if has_servers
          else nullcontext({})) as urls:
        key = tmp_path / "key"
        key.write_text(SIGNING_KEY + "\n")
        key.chmod(0o600)
        settings = {"UNREEL_SIGNING_KEY": str(key), "UNREEL_LOG_LEVEL": "debug"}
        for name, url in urls.items():
            secret = tmp_path / name.lower()
            secret.write_text(url)
            # Some one way, some the other.
            is_in_file = name in ("UNREEL_JOBS", "UNREEL_QUEUE", "UNREEL_MAIL")
            settings |= {f"{name}_FILE": str(secret)} if is_in_file else {name: url}
        service = new_service(settings=settings, converters=1).start()
        secrets = Secrets()
        token = log_in_every_way(service, secrets)

        def mails(identifier: str) -> list[str]:
            return [text for text in mail_server.texts if identifier in text] or \
                service.mails(identifier)

        convert_and_fetch(service, token, video, mails, secrets)
        ask_everything(service, secrets, settings | {
            "UNREEL_DATA": str(service.data),
            "UNREEL_ADMIN_LISTEN": f"127.0.0.1:{service.admin_ports[0]}"})
        assert service.stop() == 0
        secrets.said.append(service.log())
        assert "level=debug" in service.log()
        secrets.check()
