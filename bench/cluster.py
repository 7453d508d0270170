"""The roles as processes of their own, over RabbitMQ, MariaDB, MongoDB and SMTP."""
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from distributed import Distributed
from measure import ROLE_LIMIT_KIB, MemoryWatch, curl, paired, row
from servers import Servers

FILES = 8
TUTORIAL_PER_MINUTE = 28  # measured by others, on a machine with two such cores


def measure_fleet(film: Path, folder: Path) -> None:
    """Eight films at once through two converters, from the first byte sent to the last MP3 and mail,
    beside eight runs of ffmpeg, two at a time, on the files as they lie on the disk."""
    films = [folder / f"film{number}.mp4" for number in range(FILES)]
    for link in films:
        link.hardlink_to(film)

    with Servers(folder / "servers") as servers:
        service = Distributed(folder / "cluster", servers.variables()).start()
        try:
            token = service.user("fleet@example.org")

            def upload(path: Path) -> str:
                answer = json.loads(curl("-H", f"Authorization: Bearer {token}", "-F", f"file=@{path}",
                                         f"{service.url}/api/v1/conversions"))
                return answer["id"]

            def is_done(identifier: str) -> bool:
                conversion = service.conversion(token, identifier)
                assert conversion["state"] != "failed", conversion
                return conversion["state"] == "ready" and conversion["mail"]["state"] == "sent"

            def ours() -> None:
                with ThreadPoolExecutor(FILES) as pool:
                    waiting = list(pool.map(upload, films))
                deadline = time.monotonic() + 600
                while waiting and time.monotonic() < deadline:
                    waiting = [each for each in waiting if not is_done(each)]
                    time.sleep(0.1)
                assert not waiting

            def theirs() -> None:
                subprocess.run(
                    ["xargs", "-P2", "-I{}", "ffmpeg", "-nostdin", "-v", "error", "-y", "-i", "{}.mp4",
                     "-vn", "-c:a", "libmp3lame", "-q:a", "2", "{}.mp3"],
                    input="\n".join(str(path.with_suffix("")) for path in films), text=True, check=True)

            watch = MemoryWatch(service)
            watch.start()
            a, b, ratio = paired(ours, theirs)
            watch.is_running = False
            watch.join()
            row(f"{FILES} films at once, 2 converters over real servers (s)", f"{a:.2f}",
                f"xargs -P2 ffmpeg {b:.2f}", f"{ratio:.2f}")
            row("the same, films a minute", f"{60 * FILES / a:.0f}", f"ffmpeg {60 * FILES / b:.0f}",
                goal=f"> {TUTORIAL_PER_MINUTE} (the tutorial)")
            for pid, role in watch.roles.items():
                row(f"memory of {role}, meanwhile (MiB)", f"{watch.role_kib[pid] / 1024:.1f}",
                    goal=f"<= {ROLE_LIMIT_KIB // 1024}")
        finally:
            service.close()
