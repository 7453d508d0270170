"""Each rule of scripts/check-source rejects a violation, and only that."""
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# file, text, a part of the message that must be printed
VIOLATIONS = {
    "base knows nothing of the product": (
        "base/log.c", '#include "jobs/jobs.h"\n', "base may not include jobs"),
    "the gateway knows no accounts": (
        "roles/gateway/gateway.c", '#include "accounts/accounts.h"\n',
        "roles/gateway may not include accounts"),
    "the gateway cannot name a password hash": (
        "roles/gateway/gateway.c", '#include "security/password.h"\n', "belongs to"),
    "the gateway cannot name a signing key": (
        "roles/gateway/gateway.c", '#include "security/signing_key.h"\n', "belongs to"),
    "roles do not include each other": (
        "roles/auth/auth.c", '#include "roles/converter/converter.h"\n',
        "roles/auth may not include roles/converter"),
    "ports never see the configuration": (
        "blobs/blobs_files.c", '#include "config/config.h"\n', "blobs may not include config"),
    "the media program knows no database": (
        "media/media_main.c", '#include "sql/sql.h"\n', "media may not include sql"),
    "a client library belongs to one file": (
        "jobs/jobs_claim.c", "#include <sqlite3.h>\n", "<sqlite3.h belongs to sql/sql_sqlite.c"),
    "libav stays in media": (
        "roles/converter/converter_job.c", "#include <libavformat/avformat.h>\n", "belongs to media"),
    "implementers' headers stay in their folder": (
        "roles/notifier/notifier.c", '#include "mail/mail_backend.h"\n', "belongs to mail"),
    "banned calls": ("base/text.c", "void f(void) {\n    strcpy(a, b);\n}\n", "strcpy is banned"),
    "getenv belongs to config": (
        "http/http_server.c", 'void f(void) {\n    getenv("HOME");\n}\n', "getenv may only be called"),
    "processes are started in two places": (
        "roles/gateway/gateway.c", "void f(void) {\n    fork();\n}\n", "fork may only be called"),
    "a file has an idea, not six hundred lines": (
        "base/text.c", "\n" * 601, "is longer than 600 lines"),
    "a function is short": (
        "base/text.c", "void f(void)\n{\n" + "    g();\n" * 81 + "}\n", "function is longer than 80"),
    "a TODO has a number": ("base/text.c", "// TODO later\n", "TODO without the number"),
    "comments are written with //": ("base/text.c", "/* old */\n", "comments are written with //"),
    "a header begins with pragma once": ("base/text.h", "int x;\n", "begins with #pragma once"),
    "no folder without a layer": ("util/util.c", "", "is in no folder"),
}

ALLOWED = {
    "a backend includes its library": ("sql/sql_sqlite.c", "#include <sqlite3.h>\n"),
    "auth may know passwords": ("roles/auth/auth.c", '#include "security/password.h"\n'),
    "a banned word in a text or a comment": (
        "base/text.c", '// strcpy() is banned\nconst char *t = "strcpy(a, b)";\n'),
    "a TODO with a number": ("base/text.c", "// TODO #12: later\n"),
}


def run_checker(tmp_path, file, text):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "layers.txt", tmp_path / "scripts")
    path = tmp_path / "src" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return subprocess.run([ROOT / "scripts" / "check-source", tmp_path], capture_output=True,
                          text=True)


@pytest.mark.parametrize("file,text,message", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_is_rejected(tmp_path, file, text, message):
    result = run_checker(tmp_path, file, text)
    assert result.returncode == 1
    assert message in result.stdout


@pytest.mark.parametrize("file,text", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed_passes(tmp_path, file, text):
    result = run_checker(tmp_path, file, text)
    assert (result.returncode, result.stdout) == (0, "")
