"""`unreel convert` beside ffmpeg, lame and MoviePy: one file, more threads, many files."""
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import is_wanted, options, paired, row
from media import ffmpeg

MOVIEPY = "moviepy==1.0.3"  # the release that such services were written for
MOVIEPY_PROGRAM = """
import sys
from moviepy.editor import VideoFileClip
VideoFileClip(sys.argv[1]).audio.write_audiofile(sys.argv[2], logger=None)
"""


class Cost:
    """What one run of a command took: seconds by the wall's clock and the processors', MiB. time(1)
    is small itself: the kernel counts the memory that a process had before it executed another."""

    def __init__(self, command: list):
        done = subprocess.run(["/usr/bin/time", "-f", "%e %U %S %M", *map(str, command)], check=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wall_s, user_s, system_s, memory_kib = map(float, done.stderr.splitlines()[-1].split())
        self.wall_s, self.processor_s = wall_s, user_s + system_s
        self.memory_mib = memory_kib / 1024


def median(costs: list[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)


def compare(title: str, name: str, ours: list, theirs: list, wall_goal="", processor_goal="") -> None:
    """In turn, after a warm-up of both; the ratios are medians of pairs."""
    Cost(ours), Cost(theirs)
    pairs = [(Cost(ours), Cost(theirs)) for _ in range(options.runs)]
    mine, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for what, label, goal in (("wall_s", "wall, s", wall_goal),
                              ("processor_s", "processors, s", processor_goal)):
        ratio = statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)
        row(f"{title}: {label}", f"{median(mine, what):.2f}", f"{name} {median(other, what):.2f}",
            f"{ratio:.2f}", goal)
    row(f"{title}: memory, MiB", f"{max(cost.memory_mib for cost in mine):.1f}",
        f"{name} {max(cost.memory_mib for cost in other):.1f}")


def convert_command(source: Path, target: Path, *more) -> list:
    return [options.build / "unreel", "convert", source, target, "--quiet", "--force", *more]


def make_sound(folder: Path) -> Path:
    """Ten minutes of AAC: changing chords, a beat, noise, and pauses."""
    length = 40 if options.quick else 600
    left = ("0.2*sin(2*PI*t*(200+100*floor(mod(t,7))))+0.15*sin(2*PI*t*(331+55*floor(mod(t,3))))"
            "+0.4*(random(0)-0.5)*exp(-40*mod(t,0.5))+0.02*(random(1)-0.5)")
    right = ("0.2*sin(2*PI*t*(300+50*floor(mod(t,5))))*gt(mod(t,23),2)"
             "+0.3*(random(2)-0.5)*exp(-30*mod(t,0.25))")
    sound = folder / "sound.m4a"
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc='{left}|{right}':s=44100:d={length}", "-c:a", "aac",
           "-b:a", "160k", sound)
    return sound


def measure_one_file(sound: Path, folder: Path) -> None:
    ours, theirs = folder / "ours.mp3", folder / "theirs.mp3"
    for preset, words in (("standard", ("-q:a", "2")), ("cbr192", ("-b:a", "192k"))):
        goals = ("<= 0.55", "<= 1.06") if preset == "standard" else ()
        compare(f"10 minutes, {preset}", "ffmpeg",
                convert_command(sound, ours, "--preset", preset),
                ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", sound, "-c:a", "libmp3lame", *words,
                 theirs], *goals)


def measure_lame(sound: Path, folder: Path) -> None:
    """lame reads no AAC: both take PCM, ours in an MOV."""
    wave, movie = folder / "sound.wav", folder / "sound.mov"
    ffmpeg("-i", sound, "-c:a", "pcm_s16le", wave)
    ffmpeg("-i", sound, "-c:a", "pcm_s16le", movie)
    compare("10 minutes of PCM, V2", "lame", convert_command(movie, folder / "ours.mp3"),
            ["lame", "--quiet", "-V2", wave, folder / "theirs.mp3"])


def measure_threads(sound: Path, folder: Path) -> None:
    """Which of this machine's cores a file may use, from one to all."""
    cores = sorted(os.sched_getaffinity(0))
    command = convert_command(sound, folder / "ours.mp3")
    costs = {}
    for count in range(1, len(cores) + 1):
        os.sched_setaffinity(0, cores[:count])
        costs[count] = [Cost(command) for _ in range(options.runs)]
    os.sched_setaffinity(0, cores)
    alone_s = median(costs[1], "wall_s")
    for count, runs in costs.items():
        row(f"10 minutes, V2, {count} core{'s' * (count > 1)} (s)", f"{median(runs, 'wall_s'):.2f}",
            ratio=f"{median(runs, 'wall_s') / alone_s:.2f}",
            goal=f"<= {20 + 16 * count} MiB: {max(run.memory_mib for run in runs):.1f}")


def measure_many_files(sound: Path, folder: Path) -> None:
    """16 files: one after the other on all cores, and a process a core as people do it by hand."""
    many = folder / "many"
    many.mkdir()
    for number in range(16):
        ffmpeg("-ss", number * (2 if options.quick else 35), "-i", sound, "-t",
               2 if options.quick else 40, "-c", "copy", many / f"{number}.m4a")
    cores = len(os.sched_getaffinity(0))
    listing = f"ls {many}/*.m4a | xargs -P{{}} -I@ "

    def shell(processes: int, command: str):
        subprocess.run(["sh", "-c", listing.format(processes) + command], check=True)

    program = options.build / "unreel"
    theirs = "ffmpeg -nostdin -v error -y -i @ -c:a libmp3lame -q:a 2 @.mp3"
    for title, processes in (("one after the other", 1), (f"{cores} at once", cores)):
        a, b, ratio = paired(
            lambda: shell(processes, f"{program} convert @ @.ours.mp3 --quiet --force"),
            lambda: shell(cores, theirs))
        row(f"16 files of 40 s, {title} (s)", f"{a:.2f}", f"xargs -P{cores} ffmpeg {b:.2f}",
            f"{ratio:.2f}")


def measure_moviepy(film: Path, folder: Path) -> None:
    python = folder / "moviepy" / "bin" / "python3"
    subprocess.run([sys.executable, "-m", "venv", folder / "moviepy"], check=True)
    subprocess.run([python, "-m", "pip", "-q", "install", MOVIEPY], check=True)
    compare("a film, V2", "MoviePy (its default bit rate)",
            convert_command(film, folder / "ours.mp3"),
            [python, "-c", MOVIEPY_PROGRAM, film, folder / "theirs.mp3"])


def measure_engine(film: Path, folder: Path) -> None:
    measures = (measure_one_file, measure_lame, measure_threads, measure_many_files)
    if any(map(is_wanted, measures)):
        sound = make_sound(folder)
        for measure in filter(is_wanted, measures):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                measure(sound, Path(name))
    if is_wanted(measure_moviepy):
        measure_moviepy(film, folder)
