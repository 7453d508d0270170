"""What the built programs themselves say about their hardening and about what they link."""
import platform
import re
import subprocess

import pytest

from service import BUILD

PROGRAMS = ["unreel", "unreel-media"]

pytestmark = pytest.mark.release_build  # sanitizers replace some of the hardening


def read(tool: str, *arguments) -> str:
    """A tool of binutils, which every compiler brings along."""
    result = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(params=PROGRAMS)
def program(request) -> str:
    return str(BUILD / request.param)


def needed(program: str) -> set[str]:
    """The libraries that the program names itself, without their versions."""
    return set(re.findall(r"\(NEEDED\).*\[(lib[^.\]]*)", read("readelf", "-dW", program)))


def test_it_is_loaded_at_a_random_address(program):
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", read("readelf", "-dW", program))


def test_its_tables_of_addresses_are_read_only_once_it_runs(program):
    assert " GNU_RELRO " in read("readelf", "-lW", program)
    assert re.search(r"\(FLAGS_1\).*\bNOW\b", read("readelf", "-dW", program))


def test_no_memory_is_both_writable_and_executable(program):
    segments = read("readelf", "-lW", program)
    assert re.search(r"^  GNU_STACK .* RW +0x", segments, re.MULTILINE)
    assert not re.search(r"^  \w+ .* RWE +0x", segments, re.MULTILINE)


def test_buffers_are_checked(program):
    symbols = read("readelf", "-W", "--dyn-syms", program)
    assert "__stack_chk_fail@" in symbols
    assert "__vsnprintf_chk@" in symbols


@pytest.mark.skipif(platform.machine() != "x86_64", reason="landing pads are of x86-64")
def test_functions_begin_with_a_landing_pad(program):
    """Only our code: Debian's start-up files lack the note, so the linked program has none."""
    code = read("objdump", "-d", "--disassemble=main", "--no-show-raw-insn", program)
    assert re.search(r"<main>:\n\s*[0-9a-f]+:\s+endbr64", code), code


def test_the_decoder_links_no_network_or_database_library():
    linked = needed(str(BUILD / "unreel-media"))
    assert {"libavformat", "libavcodec", "libmp3lame"} <= linked
    assert linked <= {"libavformat", "libavcodec", "libavutil", "libswresample", "libmp3lame",
                      "libebur128", "libseccomp", "libjansson", "libm", "libc",
                      "libpthread"}


def test_the_roles_link_no_decoder():
    linked = needed(str(BUILD / "unreel"))
    assert {"libmicrohttpd", "libsqlite3"} <= linked
    assert not any(name.startswith(("libav", "libsw", "libmp3lame")) for name in linked)
