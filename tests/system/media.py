"""Media made at test time by ffmpeg; nothing is committed."""
import subprocess
from functools import cache
from pathlib import Path


def ffmpeg(*arguments) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def make_video(path: Path, seconds: float = 3, size: str = "160x120", audio: bool = True,
               extra: tuple = ()) -> Path:
    """A test picture with a melody of tones; H.264 and AAC, moov in front."""
    sound = ["-f", "lavfi", "-i",
             f"aevalsrc='0.3*sin(2*PI*t*(220+110*floor(mod(t,4))))|0.3*sin(2*PI*t*330)':s=44100:d={seconds}"]
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=10:duration={seconds}",
           *(sound if audio else []), "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac",
           "-b:a", "96k", "-movflags", "+faststart", *extra, path)
    return path


def long_video(path: Path, seconds: int) -> Path:
    """Half a minute over and over, so that it is there at once."""
    part = make_video(path.with_name("part-of-" + path.name), 30, "64x64")
    ffmpeg("-stream_loop", seconds // 30 - 1, "-i", part, "-c", "copy", "-movflags", "+faststart", path)
    return path


def long_noise(path: Path, seconds: int) -> Path:
    """Likewise, of sound that takes long to encode."""
    part = path.with_name("part-of-" + path.name)
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=30:r=44100:a=0.3", "-c:a", "aac", "-ac", "2", part)
    ffmpeg("-stream_loop", seconds // 30 - 1, "-i", part, "-c", "copy", path)
    return path


def probe(path: Path, entries: str = "format=duration,format_name") -> dict:
    output = subprocess.run(["ffprobe", "-v", "error", "-show_entries", entries, "-of",
                             "default=noprint_wrappers=1", path], check=True, capture_output=True,
                            text=True).stdout
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


@cache
def _cached(folder: str, name: str, seconds: float, audio: bool) -> Path:
    return make_video(Path(folder) / name, seconds, audio=audio)


def short_video(folder: Path) -> Path:
    """Three seconds of sound and picture; made once a folder."""
    return _cached(str(folder), "short.mp4", 3, True)
