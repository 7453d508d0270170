"""docs/api.md says what the sources say: each route, each code, each metric, and nothing else."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")

# The functions that are handed a code, beside sentences.
REFUSERS = ("http_reply_problem", "http_early_problem", "refuse", "refuse_body")


def read(path):
    return (SOURCES / path).read_text(encoding="utf-8")


def arguments_of_calls(text, name):
    """The text between the parentheses of each call, which strings may contain too."""
    for found in re.finditer(rf"\b{name}\(", text):
        depth, at = 1, found.end()
        while depth > 0:
            if text[at] == '"':
                at = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, at).end()
                continue
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield text[found.end():at - 1]


def request_codes():
    codes = set()
    for folder in ("http", "roles/gateway", "roles/auth"):
        for path in sorted((SOURCES / folder).glob("*.c")):
            text = path.read_text(encoding="utf-8")
            for name in REFUSERS:
                for arguments in arguments_of_calls(text, name):
                    codes.update(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', arguments))
            codes.update(re.findall(r'\w+_code = "([a-z_]+)"', text))
    return codes


def conversion_codes():
    table = re.search(r"struct code codes\[\] = \{(.*?)\n\};", read("protocol/media_report.c"), re.S)
    return dict(re.findall(r'\{"([a-z_]+)", (true|false),', table.group(1)))


def section(title):
    return re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", PAGE, re.S | re.M).group(1)


def table(title):
    return {row[0]: row[1] for row in
            re.findall(r"^\| `([a-z_]+)` \| ([^|]*?) \|", section(title), re.M)}


def routes():
    found = set()
    for path in ("roles/gateway/gateway_routes.c", "roles/auth/auth_routes.c", "http/http_admin.c"):
        text = read(path)
        patterns = set(re.findall(r'"(/[^"]*)"', text))
        pairs = set(re.findall(r'"(GET|POST|PUT|PATCH|DELETE)",\s*(?:\.pattern = )?"(/[^"]*)"', text))
        pairs |= {("POST", pattern) for pattern in re.findall(r'UPLOAD\("(/[^"]*)"', text)}
        assert {pattern for _, pattern in pairs} == patterns, f"a route of {path} is not understood"
        found |= {f"{method} {pattern}" for method, pattern in pairs}
    return found


def test_the_sources_are_understood():
    assert {"not_found", "timeout", "quota_bytes", "range_not_satisfiable"} <= request_codes()
    assert len(conversion_codes()) > 10
    assert "GET /metrics" in routes() and "POST /upload" in routes()


@pytest.mark.parametrize("code", sorted(request_codes()))
def test_a_code_of_requests_is_explained(code):
    assert code in table("Codes of requests")


def test_no_code_of_requests_is_invented():
    assert set(table("Codes of requests")) - request_codes() == set()


def test_the_codes_of_conversions_are_those_of_the_media_program():
    final = {code: "yes" if is_permanent == "true" else "no"
             for code, is_permanent in conversion_codes().items()}
    assert table("Codes of conversions") == final


@pytest.mark.parametrize("route", sorted(routes()))
def test_a_route_is_described(route):
    assert f"`{route}`" in PAGE


def test_no_route_is_invented():
    assert set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", PAGE)) - routes() == set()


def test_the_metrics_are_those_of_the_program():
    known = set(re.findall(r'\{"(unreel_\w+)",', read("base/metrics.c")))
    assert set(re.findall(r"^\| `(unreel_\w+)` \|", PAGE, re.M)) == known


def test_each_code_named_in_the_text_is_in_a_table():
    named = set(re.findall(r"[45]\d\d `([a-z_]+)`", PAGE))
    assert named <= set(table("Codes of requests"))


def test_each_setting_named_as_a_limit_exists():
    settings = set(re.findall(r"^## `([a-z-]+)`", (ROOT / "docs/configuration.md").read_text(), re.M))
    limits = re.search(r"^## Limits\n(.*?)^## ", PAGE, re.S | re.M).group(1)
    assert set(re.findall(r"\(`([a-z-]+)`\)", limits)) <= settings
