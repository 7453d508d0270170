"""The command line: help, settings, and what is said when something is wrong."""
import re
import socket
import stat
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from service import UNREEL, clean_environment, free_ports, wait_until

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["serve", "convert", "user", "check-config", "migrate", "gateway", "auth", "converter",
            "notifier", "healthcheck", "make-key", "probe"]


def run(*arguments, environment=None, **options):
    return subprocess.run([UNREEL, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env=clean_environment() | (environment or {}), **options)


def test_help_lists_every_command():
    result = run("--help")
    assert result.returncode == 0
    assert all(f"\n  {command} " in result.stdout for command in COMMANDS)
    assert run().returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = run(command, "--help")
    assert result.returncode == 0 and result.stdout.startswith("Usage: unreel")


def test_an_unknown_command_is_a_sentence():
    result = run("sreve")
    assert result.returncode == 2
    assert result.stderr == 'unreel: there is no command "sreve"; `unreel --help` lists them.\n'


def test_all_faults_of_the_settings_are_said_at_once(tmp_path):
    result = run("serve", "--retention", "7", "--data", tmp_path / "data",
                 environment={"UNREEL_CONVERTRES": "2", "UNREEL_MAX_UPLOAD": "much"})
    assert result.returncode == 2
    for part in ('--retention: "7"', "UNREEL_CONVERTRES: there is no such setting",
                 'UNREEL_MAX_UPLOAD: "much"'):
        assert part in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("setting,value", [("jobs", "oracle:x"), ("blobs", "ftp:x"),
                                           ("queue", "kafka:x"), ("mail", "pigeon:x"),
                                           ("accounts", "ldap:x")])
def test_a_url_that_no_backend_understands_ends_the_start(setting, value, tmp_path):
    result = run("serve", f"--{setting}", value, "--data", tmp_path / "data")
    assert result.returncode == 2
    assert f"{setting}: no " in result.stderr and f"'{value.split(':')[0]}:'" in result.stderr


def test_the_reference_page_is_current():
    result = run("check-config", "--reference")
    assert (ROOT / "docs/configuration.md").read_text() == result.stdout, \
        "run: build/unreel check-config --reference > docs/configuration.md"


def test_check_config_says_where_each_value_came_from():
    result = run("check-config", "--cores", "3", environment={"UNREEL_LOG": "json"})
    assert "cores = 3  # command line" in result.stdout
    assert "log = json  # environment" in result.stdout
    assert "max-upload = 4GiB  # default" in result.stdout


def test_serve_starts_with_nothing_but_defaults(tmp_path):
    # Everything under ./data, by relative paths. Only the ports are others, so that they are free.
    first = free_ports(6)
    process = subprocess.Popen(
        [UNREEL, "serve", "--listen", f"127.0.0.1:{first}", "--admin-listen", f"127.0.0.1:{first + 1}"],
        cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(60, process.terminate)
    guard.start()
    try:
        assert process.stdout.readline() == f"Unreel is ready: http://127.0.0.1:{first}\n"
    finally:
        guard.cancel()
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert "level=error" not in log
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_serve_says_at_once_that_a_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        result = run("serve", "--data", tmp_path / "data", "--listen", taken)
    assert result.returncode == 1
    assert f"see the setting listen: listen on {taken}: Address already in use" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("role", ["gateway", "auth", "converter", "notifier"])
def test_a_role_whose_operators_port_is_taken_says_so_and_ends(role, tmp_path):
    settings = ["--data", tmp_path, "--listen", "127.0.0.1:0"]
    run("migrate", *settings)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        result = run(role, *settings, "--admin-listen", taken)
    assert result.returncode == 1
    assert f"listen on {taken}: Address already in use" in result.stderr


@contextmanager
def a_notifier(folder, admin_listen):
    """One role that listens there and ends with the test."""
    settings = {"UNREEL_DATA": str(folder / "data"), "UNREEL_ADMIN_LISTEN": admin_listen}
    process = subprocess.Popen([UNREEL, "notifier"], env=clean_environment() | settings,
                               stderr=subprocess.DEVNULL)
    try:
        yield settings
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::]", "::", "unix"])
def test_healthcheck_finds_the_role_where_it_listens(host, tmp_path):
    listen = f"unix:{tmp_path}/admin.sock" if host == "unix" else f"{host}:{free_ports(1)}"
    with a_notifier(tmp_path, listen) as settings:
        wait_until(lambda: run("healthcheck", environment=settings).returncode == 0)
        result = run("healthcheck", environment=settings)
        assert (result.stdout, result.stderr) == ("", "")


def test_healthcheck_tells_alive_from_ready(tmp_path):
    with a_notifier(tmp_path, f"127.0.0.1:{free_ports(1)}") as settings:
        wait_until(lambda: run("healthcheck", environment=settings).returncode == 0)
        result = run("healthcheck", "--ready", environment=settings)
        assert result.returncode == 1
        assert result.stderr.startswith("unreel: /readyz answers 503: jobs: ")
        assert result.stderr.count("\n") == 1
        assert run("migrate", environment=settings).returncode == 0
        wait_until(lambda: run("healthcheck", "--ready", environment=settings).returncode == 0)


def test_healthcheck_does_not_wait_for_ever():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listen = f"127.0.0.1:{silent.getsockname()[1]}"
        result = run("healthcheck", "--admin-listen", listen)
    assert result.returncode == 1
    assert result.stderr.startswith(f"unreel: no answer: GET http://{listen}/livez: ")
    assert result.stderr.count("\n") == 1
    assert run("healthcheck", "--admin-listen", listen).returncode == 1  # nobody listens


@pytest.mark.parametrize("words", [["now"], ["--ready", "now"], ["--raedy"]])
def test_healthcheck_refuses_words_it_does_not_know(words):
    result = run("healthcheck", *words)
    assert result.returncode == 2 and f"{words[-1]}: there is no such option" in result.stderr


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "signing.key"
    assert run("make-key", path).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_text()
    again = run("make-key", path)
    assert (again.returncode, again.stderr) == \
        (1, f"unreel: cannot make a key: {path} is there already\n")
    assert path.read_text() == key
    printed = run("make-key").stdout
    assert re.fullmatch("[0-9a-f]{64}\n", printed) and printed != key
    assert run("make-key", "--force").returncode == 2


def test_a_malformed_proxy_is_a_fault_of_the_settings():
    result = run("check-config", "--trusted-proxies", "nonsense")
    assert result.returncode == 2
    assert "trusted-proxies: nonsense is no address or network" in result.stderr


@pytest.mark.parametrize("arguments,text", [
    (["--preset", "loud", "x.mp4"], '--preset is one of best, standard, small, voice, cbr128, '
     'cbr192, cbr256, cbr320, not "loud".'),
    (["--start", "1:75", "x.mp4"], '--start is a time such as 83.5, 1:23.5 or 0:01:23.5, '
     'not "1:75".'),
    (["--end", "5", "--start", "5", "x.mp4"], "--end must be later than start."),
    (["--track=german", "x.mp4"], "--track is the number of an audio track, from 1, or a language "
     'such as deu, de or pt-BR, not "german".'),
    (["--loudness", "16", "x.mp4"], "--loudness is a number of LUFS from -70 to -5 such as -16 or "
     '-16.5, not "16".'),
    (["--mono=yes", "x.mp4"], '--mono is true or false, not "yes".'),
    (["--lout", "x.mp4"], '"--lout": unknown option, or one without its value'),
    (["--quiet", "-xq", "x.mp4"], '"-x": unknown option, or one without its value'),
    (["-qt", "x.mp4"], '"-t": unknown option, or one without its value'),
    (["--quiet=1", "x.mp4"], '"--quiet=1": unknown option, or one without its value'),
    (["x.mp4", "--title"], '"--title": unknown option, or one without its value'),
])
def test_convert_names_the_word_that_is_wrong(arguments, text):
    result = run("convert", *arguments)
    assert (result.returncode, result.stderr) == (2, f"unreel: convert: {text} (try --help)\n")


def test_a_folder_is_no_name_of_an_mp3(tmp_path):
    video = tmp_path / "x.mp4"
    video.write_bytes(b"x")
    result = run("convert", video, tmp_path)
    assert result.returncode == 2 and "is a folder; name the MP3 too" in result.stderr


def test_an_account_before_the_first_start_is_explained(tmp_path):
    result = run("user", "add", "anna@example.org", "--password-stdin", "--data", tmp_path / "data",
                 input="a long password\n")
    assert result.returncode == 1 and "`unreel migrate`" in result.stderr
