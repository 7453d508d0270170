"""A role takes as many descriptors as the system gives, and says so when they are too few."""
import resource
import subprocess
from pathlib import Path

from service import UNREEL, clean_environment, free_ports


def start_gateway(tmp_path, soft: int, hard: int):
    port = free_ports(2)
    environment = clean_environment() | {
        "UNREEL_DATA": str(tmp_path / "data"), "UNREEL_LISTEN": f"127.0.0.1:{port}",
        "UNREEL_ADMIN_LISTEN": f"127.0.0.1:{port + 1}"}
    return subprocess.Popen(
        [UNREEL, "gateway"], env=environment, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))


def stop_when_started(gateway) -> tuple[str, str]:
    """Its log up to then, and its limits."""
    log = ""
    for line in gateway.stderr:
        log += line
        if "msg=started" in line:
            break
    limits = Path(f"/proc/{gateway.pid}/limits").read_text()
    gateway.terminate()
    gateway.communicate(timeout=60)
    assert gateway.returncode == 0, log
    return log, limits


def open_files(limits: str) -> list[str]:
    line, = [line for line in limits.splitlines() if line.startswith("Max open files")]
    return line.split()[3:5]


def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path):
    log, limits = stop_when_started(start_gateway(tmp_path, 256, 4096))
    assert open_files(limits) == ["4096", "4096"]
    assert "file descriptors" not in log


def test_too_low_a_hard_limit_is_warned_of(tmp_path):
    log, limits = stop_when_started(start_gateway(tmp_path, 256, 600))
    assert open_files(limits) == ["600", "600"]
    assert 'level=warn' in log and "too few file descriptors" in log and "limit=600" in log
