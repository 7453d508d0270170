"""podman with images and containers of its own, apart from those of the person at this machine: the
stand-ins carry the names of upstream's images. They are kept in ~/.cache/unreel-tests between runs."""
import json
import os
import resource
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unreel-tests"

# Where no systemd runs nobody starts health checks on time; podman says so at every container.
NOISE = ("systemd connection", "Removing timer")

UNREEL = "docker.io/library/unreel:latest"


def _configuration(folder: Path) -> dict:
    """What podman needs where it may raise no limit and finds no systemd; good elsewhere too."""
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000)
    (folder / "containers.conf").write_text(f"""
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=20000:20000"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
""")
    (folder / "storage.conf").write_text(f"""
[storage]
driver = "overlay"
graphroot = "{CACHE}/containers"
runroot = "/run/unreel-tests{CACHE}"
""")
    return {"CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "ENGINE": "podman"}


_folder = tempfile.TemporaryDirectory(prefix="unreel-podman-")
CACHE.mkdir(parents=True, exist_ok=True)
ENVIRONMENT = {**os.environ, **_configuration(Path(_folder.name))}


def command(*words, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Any program that shall see these images; its output is text."""
    done = subprocess.run([str(word) for word in words], env=ENVIRONMENT, cwd=ROOT, text=True,
                          capture_output=True, **options)
    done.stderr = "".join(line for line in done.stderr.splitlines(True)
                          if not any(noise in line for noise in NOISE))
    assert not check or done.returncode == 0, \
        f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def podman(*words, **options) -> str:
    return command("podman", *words, **options).stdout.strip()


def inspect(image: str) -> dict:
    return json.loads(podman("image", "inspect", image))[0]


def build_unreel() -> str:
    """The image under the name that compose file and manifests use."""
    command("scripts/build-image", timeout=1800)
    podman("tag", "localhost/unreel:latest", UNREEL)
    podman("image", "prune", "--force", "--filter", "until=168h")
    return UNREEL
