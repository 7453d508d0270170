"""A Docker engine of one's own: started by a test, in a network namespace of its own, so that it touches
neither this machine's firewall nor a Docker that people use here. Images come from podman, since nothing
in that namespace reaches a network. Debian's packages are unpacked, not installed."""
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from podman import CACHE, ENVIRONMENT, command, inspect

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _programs() -> Path:
    """The folder that holds dockerd, docker and containerd."""
    folder = CACHE / "docker-programs"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as part:
            command("sh", "-c", f"cd {part} && apt-get download docker.io containerd"
                    " $(apt-cache show docker-cli >/dev/null 2>&1 && echo docker-cli)"
                    f" && for each in *.deb; do dpkg-deb -x $each programs; done")
            Path(part, "programs").rename(folder)
    return folder


class Docker:
    def __init__(self):
        programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="unreel-docker-"))
        self.lock = open(CACHE / "docker.lock", "w")
        self.environment = {
            **ENVIRONMENT, "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "PATH": f"{programs}/usr/bin:{programs}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def __enter__(self) -> "Docker":
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.log = open(self.folder / "log", "w")
        limit = subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, text=True).stdout.strip()
        files = min(int(limit), 20000) if limit.isdigit() else 20000
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
             f"ip link set lo up; exec dockerd --data-root {CACHE}/docker --exec-root {self.folder}/run"
             f" --pidfile {self.folder}/pid --host $DOCKER_HOST --default-ulimit nofile={files}:{files}"],
            env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True,
            preexec_fn=_end_with_parent)
        deadline = time.monotonic() + 60
        while self.run("docker", "info", check=False).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, \
                "dockerd does not start:\n" + (self.folder / "log").read_text()[-3000:]
            time.sleep(0.2)
        self._clear()
        return self

    def __exit__(self, *_):
        self._clear()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self):
        """Images stay; all that a run made goes."""
        containers = self.run("docker", "ps", "-aq").stdout.split()
        if containers:
            self.run("docker", "rm", "--force", "--volumes", *containers)
        self.run("docker", "network", "prune", "--force")
        self.run("docker", "volume", "prune", "--force")
        self.run("docker", "image", "prune", "--force")

    def run(self, *words, check: bool = True, environment: dict | None = None,
            **options) -> subprocess.CompletedProcess:
        done = subprocess.run([str(word) for word in words], env=self.environment | (environment or {}),
                              text=True, capture_output=True, **options)
        assert not check or done.returncode == 0, \
            f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def load(self, images: list[str]):
        """Takes podman's images, those that are not here yet."""
        def is_missing(image):
            here = self.run("docker", "image", "inspect", "--format", "{{.Id}}", image, check=False)
            return here.stdout.strip().removeprefix("sha256:") != inspect(image)["Id"]
        missing = [image for image in images if is_missing(image)]
        if missing:
            archive = self.folder / "images.tar"
            command("podman", "save", "--quiet", "--format", "docker-archive", "--multi-image-archive",
                    "--output", archive, *missing)
            self.run("docker", "load", "--quiet", "--input", archive)
            archive.unlink()

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread makes meanwhile are in the engine's network: ports that containers
        publish are there."""
        with open("/proc/thread-self/ns/net") as own, open(f"/proc/{self.process.pid}/ns/net") as other:
            _enter(other)
            try:
                yield
            finally:
                _enter(own)


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _enter(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
