"""A server as a process of ours: started, frozen, killed, started again on the same port."""
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOST = "127.0.0.1"
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60

# A process that asked to die with its parent dies with the parent's *thread*, so one thread that
# lives as long as we do starts them all.
starter = ThreadPoolExecutor(1)


class ServerError(RuntimeError):
    pass


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to outgoing connections."""
    for _ in range(200):
        port = random.randrange(10000, 20000)
        try:
            socket.create_server((HOST, port)).close()
            return port
        except OSError:
            continue
    raise ServerError("no free port")


def noted_port(note: Path) -> int:
    """The port in that file; the first time a free one is chosen and noted."""
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(free_port()))
    return int(note.read_text())


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/rabbitmq/bin")
    if found is None:
        raise ServerError(f"{name} is not installed: scripts/setup services")
    return found


def spawn(command: list[str], **options) -> subprocess.Popen:
    """A process that is killed when this one ends, whatever ends it."""
    return starter.submit(subprocess.Popen, ["setpriv", "--pdeathsig", "KILL", *command],
                          stdin=subprocess.DEVNULL, start_new_session=True, **options).result()


class Server:
    """One process, which leads a process group of its own.

    A subclass says how it is started and when it answers.
    """

    name = "server"

    def __init__(self, folder: Path):
        self.folder = Path(folder).resolve()
        self.log_path = self.folder / "log"
        self.port = noted_port(self.folder / "port")
        self.process: subprocess.Popen | None = None

    def prepare(self):
        """What has to be there before the process starts."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict:
        return {}

    def answers(self) -> bool:
        """Whether it does its work; an OSError counts as no."""
        raise NotImplementedError

    def start(self) -> "Server":
        self.launch()
        return self.wait()

    def launch(self):
        """The first half of start, so that several servers can start side by side."""
        self.prepare()
        with open(self.log_path, "ab") as log:
            self.process = spawn(self.command(), cwd=self.folder, stdout=log, stderr=log,
                                 env=os.environ | self.environment())

    def wait(self) -> "Server":
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended with status {self.process.returncode} instead "
                                  f"of starting:\n{self.log_tail()}")
            try:
                if self.answers():
                    return self
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} does not answer on port {self.port} after "
                                  f"{START_TIMEOUT_S} s:\n{self.log_tail()}")
            time.sleep(0.1)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int):
        """To the process and its children."""
        if self.is_running():
            os.killpg(self.process.pid, number)

    def freeze(self):
        """Returns when it stands still: a signal reaches many threads one after the other."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while self.is_running() and not self.stands_still() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stands_still(self) -> bool:
        """Whether each thread of each process of its group is stopped."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(path.name)) != self.process.pid:
                    continue
                states = [task.read_text().rsplit(")", 1)[1].split()[0]
                          for task in path.glob("task/*/stat")]
            except OSError:
                continue  # it has ended meanwhile
            if not set(states) <= set("TtZX"):
                return False
        return True

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def terminate(self):
        """The first half of stop."""
        if self.is_running():
            self.thaw()
            self.process.terminate()

    def stop(self):
        """Ends it cleanly; one that does not end is killed, which is an error."""
        if not self.is_running():
            return
        self.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"{self.name} did not stop within {STOP_TIMEOUT_S} s:\n"
                              f"{self.log_tail()}") from None

    def restart(self) -> "Server":
        """Stops it where it still runs, then starts it on the same port and data."""
        self.stop()
        return self.start()

    def log_tail(self) -> str:
        if not self.log_path.exists():
            return "(no log)"
        return self.log_path.read_text(errors="replace")[-3000:]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Group:
    """Several servers that start, stop, die and freeze together."""

    def __init__(self, servers: list):
        self.servers = servers

    def launch(self):
        for server in self.servers:
            server.launch()

    def wait(self) -> "Group":
        for server in self.servers:
            server.wait()
        return self

    def start(self) -> "Group":
        try:
            self.launch()
            return self.wait()
        except BaseException:
            self.kill()
            raise

    def is_running(self) -> bool:
        return all(server.is_running() for server in self.servers)

    def freeze(self):
        for server in self.servers:
            server.freeze()

    def thaw(self):
        for server in self.servers:
            server.thaw()

    def kill(self):
        for server in self.servers:
            server.kill()

    def terminate(self):
        for server in self.servers:
            server.terminate()

    def stop(self):
        """All of them, also when one makes trouble."""
        failures = []
        self.terminate()
        for server in self.servers:
            try:
                server.stop()
            except ServerError as failure:
                failures.append(str(failure))
        if failures:
            raise ServerError("\n".join(failures))

    def restart(self) -> "Group":
        self.stop()
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
