"""What every measurement needs: the options, the table, pairs run in turn, media, memory."""
import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
sys.path.insert(0, str(ROOT / "scripts"))

parser = argparse.ArgumentParser(description="Measures Unreel beside other programs.")
parser.add_argument("build", type=Path)
parser.add_argument("--quick", action="store_true", help="small files: is the script itself right?")
parser.add_argument("--only", default="", help="measure_latency, say: that alone")
parser.add_argument("--runs", type=int, default=5)
options = parser.parse_args()
os.environ["UNREEL_BUILD"] = str(options.build.resolve())

from media import ffmpeg  # noqa: E402
from service import Service, children_of, command_line, memory_kib  # noqa: E402

MEDIA_LIMIT_KIB = (20 + 16 * len(os.sched_getaffinity(0))) * 1024  # 16 MiB a thread
ROLE_LIMIT_KIB = 32 * 1024
rows = []


def is_wanted(measure) -> bool:
    return options.only in measure.__name__


def row(what: str, ours: str, theirs: str = "", ratio: str = "", goal: str = "") -> None:
    rows.append((what, ours, theirs, ratio, goal))
    print("  ".join(cell for cell in rows[-1] if cell), flush=True)


def seconds(function) -> float:
    start = time.monotonic()
    function()
    return time.monotonic() - start


def paired(ours, theirs) -> tuple[float, float, float]:
    """Medians of both and of the ratio ours/theirs, run in turn after a warm-up."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(options.runs)]
    return (statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs),
            statistics.median(a / b for a, b in pairs))


def print_table() -> None:
    print("\n| what | Unreel | beside it | ratio | goal |\n|---|---|---|---|---|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


def make_media(folder: Path) -> tuple[Path, Path]:
    """A three-minute 720p film of about 100 MB, and a file of 1.5 GB."""
    film, big = folder / "film.mp4", folder / "big.mov"
    length = 20 if options.quick else 180
    sound = ("aevalsrc='0.2*sin(2*PI*t*(200+100*floor(mod(t,7))))+0.05*(random(0)-0.5)|"
             f"0.2*sin(2*PI*t*(300+50*floor(mod(t,5))))':s=44100:d={length}")
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={length}", "-f", "lavfi",
           "-i", sound, "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4500k", "-minrate", "4500k",
           "-maxrate", "4500k", "-bufsize", "4M", "-x264-params", "nal-hrd=cbr", "-c:a", "aac",
           "-b:a", "128k", film)
    big_length = 2 if options.quick else 33
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size=1280x720:rate=25:duration={big_length}", "-stream_loop",
           "-1", "-i", film, "-map", "0:v", "-map", "1:a", "-t", str(big_length), "-pix_fmt",
           "uyvy422", "-c:v", "rawvideo", "-c:a", "copy", big)
    return film, big


def curl(*arguments) -> str:
    return subprocess.run(["curl", "-sf", *map(str, arguments)], check=True, capture_output=True,
                          text=True).stdout


def convert(source: Path, target: Path) -> None:
    subprocess.run([options.build / "unreel", "convert", source, target, "--quiet", "--force"],
                   check=True)


class MemoryWatch(threading.Thread):
    """The most memory that each role has while it runs, and any media child ever."""

    def __init__(self, service: Service):
        super().__init__(daemon=True)
        self.roles = {pid: command_line(pid)[1] for pid in service.children()}
        self.role_kib = dict.fromkeys(self.roles, 0)
        self.child_kib, self.is_running = 0, True

    def look(self):
        for pid, role in self.roles.items():
            self.role_kib[pid] = max(self.role_kib[pid], memory_kib(pid, "VmRSS"))
            for child in children_of(pid) if role == "converter" else []:
                if "unreel-media" in " ".join(command_line(child)[:1]):
                    self.child_kib = max(self.child_kib, memory_kib(child, "VmHWM"))

    def run(self):
        while self.is_running:
            try:
                self.look()
            except OSError:
                pass  # a child has just ended
            time.sleep(0.01)
