"""`unreel serve` beside ffmpeg and nginx."""
import http.client
import json
import os
import statistics
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

from measure import (MEDIA_LIMIT_KIB, ROLE_LIMIT_KIB, MemoryWatch, convert, curl, is_wanted, options,
                     paired, row, seconds)
from media import ffmpeg
from service import Embedded, Service, free_ports


def measure_conversion(film: Path, folder: Path) -> None:
    def ours():
        convert(film, folder / "ours.mp3")

    def theirs():
        ffmpeg("-i", film, "-vn", "-c:a", "libmp3lame", "-q:a", "2", folder / "theirs.mp3")

    a, b, ratio = paired(ours, theirs)
    row("convert a 3-minute film, V2 (s)", f"{a:.2f}", f"ffmpeg {b:.2f}", f"{ratio:.2f}")


# ---- nginx -----------------------------------------------------------------------------------------

class Nginx:
    """The web server beside which uploads and downloads are measured: PUT to a file, static files."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_ports(1)
        (folder / "files").mkdir(parents=True)
        os.chmod(folder, 0o777)
        (folder / "nginx.conf").write_text(f"""
            worker_processes 2; daemon off; pid {folder}/pid; error_log {folder}/error.log;
            user root;
            events {{ worker_connections 256; }}
            http {{ access_log off; sendfile on; client_max_body_size 0;
              client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
              fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
              scgi_temp_path {folder}/scgi;
              server {{ listen 127.0.0.1:{self.port};
                location / {{ root {folder}/files; dav_methods PUT DELETE; }} }} }}""")
        self.process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"],
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Probe(threading.Thread):
    """Asks one path again and again on one connection and keeps the times."""

    def __init__(self, port: int, path: str, headers: dict):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.path, self.headers = path, headers
        self.times_ms, self.is_running = [], True

    def run(self):
        while self.is_running:
            start = time.monotonic()
            self.connection.request("GET", self.path, headers=self.headers)
            self.connection.getresponse().read()
            self.times_ms.append((time.monotonic() - start) * 1000)
            time.sleep(0.002)

    def stop(self) -> str:
        self.is_running = False
        self.join()
        ordered = sorted(self.times_ms)
        return f"{ordered[int(len(ordered) * 0.99)]:.1f} of {len(ordered)}"


def measure_transfers(service: Service, token: str, big: Path, folder: Path) -> None:
    nginx = Nginx(folder / "nginx")
    authorization = f"Authorization: Bearer {token}"
    size_mb = big.stat().st_size / 1e6

    def upload():
        answer = json.loads(curl("-H", authorization, "-F", f"file=@{big}",
                                 f"{service.url}/api/v1/conversions"))
        curl("-X", "DELETE", "-H", authorization,
             f"{service.url}/api/v1/conversions/{answer['id']}")

    def put():
        curl("-T", big, f"http://127.0.0.1:{nginx.port}/big")
        os.sync()
        curl("-X", "DELETE", f"http://127.0.0.1:{nginx.port}/big")

    try:
        probes = [Probe(service.admin_ports[0], "/livez", {}),
                  Probe(service.port, "/api/v1/conversions", {"Authorization": f"Bearer {token}"})]
        upload()
        for probe in probes:
            probe.start()
        times = [seconds(upload) for _ in range(options.runs)]
        latencies = [probe.stop() for probe in probes]
        row("p99 of /livez during uploads (ms)", latencies[0], goal="< 20")
        row("p99 of a list during uploads (ms)", latencies[1], goal="< 20")
        row(f"upload of {size_mb:.0f} MB alone (MB/s)", f"{size_mb / statistics.median(times):.0f}",
            goal=">= 300")
        a, b, ratio = paired(upload, put)
        row(f"upload of {size_mb:.0f} MB to 201, fsync (s)", f"{a:.2f}", f"nginx PUT + sync {b:.2f}",
            f"{ratio:.2f}")
    finally:
        nginx.stop()


def measure_download(service: Service, token: str, folder: Path) -> None:
    """Downloads a long MP3 from both."""
    nginx = Nginx(folder / "nginx-download")
    sound = folder / "long.m4a"
    ffmpeg("-f", "lavfi", "-i", f"anoisesrc=d={60 if options.quick else 2400}:c=pink:a=0.3", "-c:a",
           "aac", "-b:a", "96k", sound)
    answer = service.upload(token, sound, "long.m4a", {"preset": "cbr320"}).json
    ready = service.wait_for(token, answer["id"], "ready", 600)
    size_mb = ready["audio"]["bytes"] / 1e6
    url = f"{service.url}/api/v1/conversions/{answer['id']}/audio"
    target = nginx.folder / "files" / "long.mp3"
    curl("-H", f"Authorization: Bearer {token}", "-o", target, url)

    def ours():
        curl("-H", f"Authorization: Bearer {token}", "-o", "/dev/null", url)

    def theirs():
        curl("-o", "/dev/null", f"http://127.0.0.1:{nginx.port}/long.mp3")

    a, b, ratio = paired(ours, theirs)
    row(f"download of {size_mb:.0f} MB (MB/s)", f"{size_mb / a:.0f}", f"nginx {size_mb / b:.0f}",
        f"{ratio:.2f} of its time")
    nginx.stop()


# ---- the service -----------------------------------------------------------------------------------

def measure_latency(service: Service, token: str, film: Path, folder: Path) -> None:
    """From the end of an upload to `ready`, by the times that the service itself gives, against the
    bare command in turn."""
    def moment(text: str) -> float:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    extra_ms = []
    for _ in range(options.runs):
        accepted = json.loads(curl("-H", f"Authorization: Bearer {token}", "-F", f"file=@{film}",
                                   f"{service.url}/api/v1/conversions"))
        time.sleep(0.5)
        ready = service.wait_for(token, accepted["id"], "ready", every_s=0.2)
        bare_s = seconds(lambda: convert(film, folder / "bare.mp3"))
        took_s = moment(ready["updated_at"]) - moment(accepted["updated_at"])
        extra_ms.append((took_s - bare_s) * 1000)
    row("end of upload to ready, beyond the bare conversion (ms)",
        f"{statistics.median(extra_ms):.0f}", f"of {min(extra_ms):.0f} to {max(extra_ms):.0f}",
        goal="<= 150")


def measure_memory(service: Service, token: str, big: Path) -> None:
    watch = MemoryWatch(service)
    watch.start()
    answer = json.loads(curl("-H", f"Authorization: Bearer {token}", "-F", f"file=@{big}",
                             f"{service.url}/api/v1/conversions"))
    service.wait_for(token, answer["id"], "ready", 300)
    watch.is_running = False
    watch.join()
    size = f"{big.stat().st_size / 1e6:.0f} MB"
    for pid, role in watch.roles.items():
        row(f"memory of {role}, {size} (MiB)", f"{watch.role_kib[pid] / 1024:.1f}",
            goal=f"<= {ROLE_LIMIT_KIB // 1024}")
    row(f"memory of the media child, {size} (MiB)", f"{watch.child_kib / 1024:.1f}",
        goal=f"<= {MEDIA_LIMIT_KIB // 1024}")


def measure_all(film: Path, big: Path, folder: Path) -> None:
    if is_wanted(measure_conversion):
        measure_conversion(film, folder)
    measures = [(measure_latency, (film, folder)), (measure_memory, (big,)),
                (measure_transfers, (big, folder)), (measure_download, (folder,))]
    if not any(is_wanted(measure) for measure, _ in measures):
        return
    service = Embedded(folder / "data").start()
    try:
        token = service.user("bench@example.org")
        for measure, arguments in measures:
            if is_wanted(measure):
                measure(service, token, *arguments)
    finally:
        service.stop()
