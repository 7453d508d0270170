"""What holds the program that decodes strangers' files, as an operator sees it and as the kernel does."""
import os
import re
import subprocess
from pathlib import Path

from media import long_noise, make_video
from oracle import media_children
from service import BUILD, UNREEL, clean_environment, free_ports, is_sanitized, wait_until

WITHOUT_SECCOMP = BUILD / "tests/support/without-seccomp"


def status_of(task: Path) -> dict:
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines()
                if ":\t" in line)


def layers(metrics: str) -> dict:
    return {name: int(value) for name, value in
            re.findall(r'^unreel_confinement_layers\{layer="(\w+)"\} (\d)$', metrics, re.MULTILINE)}


def test_a_conversion_that_runs_is_confined_in_all_its_threads(new_service, media_dir):
    sound = long_noise(media_dir / "noise.m4a", 3600 if not is_sanitized() else 600)
    service = new_service(settings={"UNREEL_CORES": "2"}).start()
    token = service.user("anna@example.org")
    identifier = service.upload(token, sound).json["id"]
    service.wait_for(token, identifier, "converting")
    child = wait_until(lambda: media_children(service), what="the media child")[0]
    wait_until(lambda: status_of(Path(f"/proc/{child}")).get("Seccomp") == "2",
               what="the filter of system calls")
    for task in Path(f"/proc/{child}/task").iterdir():
        status = status_of(task)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert status["Uid"].split()[1] != "0"
    if os.geteuid() == 0:  # nobody else may look at a process that cannot be dumped
        assert sorted(each.name for each in Path(f"/proc/{child}/fd").iterdir()) == ["0", "1", "2"]
        assert Path(f"/proc/{child}/environ").read_bytes() == b""
    limits = Path(f"/proc/{child}/limits").read_text()
    for name in ["open files", "processes", "core file size"]:
        assert re.search(rf"^Max {name} +0 +0 ", limits, re.MULTILINE), limits
    for name in ["cpu time", "file size"] + ([] if is_sanitized() else ["address space"]):
        assert re.search(rf"^Max {name} +\d+ +\d+ ", limits, re.MULTILINE), limits
    path = f"/api/v1/conversions/{identifier}"
    assert service.request("DELETE", path, token=token).status == 204


def test_the_converter_says_what_confines_its_child(new_service):
    service = new_service().start()
    ready = service.admin(3, "/readyz")
    assert ready.status == 200
    assert re.match(r"ok\nconfinement: seccomp no_new_privs rlimits\b", ready.body.decode())
    found = layers(service.admin(3, "/metrics").body.decode())
    assert sorted(found) == ["landlock", "namespaces", "no_new_privs", "rlimits", "seccomp"]
    assert found["seccomp"] == found["no_new_privs"] == found["rlimits"] == 1
    assert "the media program is confined" in service.log()


def converter(folder: Path, *arguments, **options) -> subprocess.Popen:
    """A converter by itself on a machine without filters of system calls."""
    admin = f"127.0.0.1:{free_ports(1)}"
    process = subprocess.Popen([WITHOUT_SECCOMP, UNREEL, "converter", "--data", folder,
                                "--admin-listen", admin, *arguments],
                               env=clean_environment(), stderr=subprocess.PIPE, text=True, **options)
    process.admin = admin
    return process


def test_without_a_filter_the_converter_refuses_to_start(tmp_path):
    process = converter(tmp_path / "data")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "the media program cannot be confined here" in said
    assert "confinement = best-effort" in said


def test_best_effort_converts_without_a_filter_and_says_so_everywhere(tmp_path):
    process = converter(tmp_path / "data", "--confinement", "best-effort")
    try:
        def ask(path: str) -> str:
            return subprocess.run(["curl", "-s", f"http://{process.admin}{path}"],
                                  capture_output=True, text=True, timeout=30).stdout
        ready = wait_until(lambda: "confinement" in (said := ask("/readyz")) and said, 60,
                           what="readyz")
        assert "(not enough; best-effort)" in ready and "seccomp" not in ready
        assert layers(ask("/metrics"))["seccomp"] == 0
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "level=error" in said and "the media program is not confined" in said


def run_child(folder: Path, *options) -> list[str]:
    video = make_video(folder / "short.mp4", 1)
    with open(video, "rb") as source, open(folder / "out.mp3", "w+b") as output:
        return subprocess.run([WITHOUT_SECCOMP, BUILD / "unreel-media", "child", *options],
                              stdin=source, stdout=output, stderr=subprocess.PIPE, text=True,
                              timeout=120).stderr.splitlines()


def test_a_child_without_a_filter_reads_nothing(tmp_path):
    assert run_child(tmp_path) == ["fail internal This system knows no filter of system calls."]
    assert (tmp_path / "out.mp3").stat().st_size == 0
    lines = run_child(tmp_path, "--best-effort")
    assert lines[0].startswith("confined no_new_privs rlimits")
    assert lines[-1].startswith("done ")


def test_the_self_test_notices_what_it_can_do():
    """Best effort without a filter: it is confined by less than it should be, and says by what."""
    done = subprocess.run([WITHOUT_SECCOMP, BUILD / "unreel-media", "self-test", "--best-effort"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert re.search(r"^fail internal A confined process could execute a program\.$", done.stderr,
                     re.MULTILINE), done.stderr
