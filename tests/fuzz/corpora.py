"""What each target begins with. A target without a row begins with nothing but one empty line."""
import fcntl
from pathlib import Path

from mutations import TYPES, Mutator
from seeds import ffmpeg, load_seeds, same, sound

MUTATED = 300  # broken MP4s beside the whole ones

LINES = {
    "media_report": [b"progress 137\n", b"done duration_ms=180021 samples=7938926\n",
                     b"fail no_audio This video has no audio track.\n", b"confined seccomp rlimits\n"],
    "choices": [b"preset=voice\ntrack=2\nmono=true\nstart=1:23.5\nend=0:02:00\nloudness=-16",
                b"preset=cbr320\ntrack=pt-BR\nend=83.25\nloudness=-23.5", b"mono=false\nstart=0"],
    "mail_message": [b"Unreel <unreel@example.org>\0someone@example.org\0Gr\xc3\xbc\xc3\x9fe\0"
                     b"1@example.org\x0000-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\0"
                     b"A body.\n.\nIts end.\n"],
    "multipart": [b"\x07--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n"
                  b"Content-Type: video/mp4\r\n\r\n12345\r\n--b\r\n"
                  b"Content-Disposition: form-data; name=\"preset\"\r\n\r\nsmall\r\n--b--\r\n"],
}
MP3S = {
    "vbr.mp3": (44100, 2, ("-q:a", "2")), "cbr320.mp3": (48000, 2, ("-b:a", "320k")),
    "cbr128.mp3": (44100, 1, ("-b:a", "128k")), "mpeg2.mp3": (22050, 2, ("-b:a", "64k")),
    "mpeg25.mp3": (8000, 1, ("-b:a", "16k")), "plain.mp3": (44100, 2, ("-write_xing", "0")),
}


def write_media(folder: Path, seeds: Path) -> None:
    files = load_seeds(seeds)
    mutator = Mutator(files, 1)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    for index in range(MUTATED):
        (folder / f"mutated-{index:03}").write_bytes(mutator.mutate(index)[0])


def write_mp3s(folder: Path) -> None:
    """Whole files, and the same behind a byte that says how fuzz_media_layout.c should cut."""
    for number, (name, (rate, channels, options)) in enumerate(MP3S.items()):
        path = folder / name
        ffmpeg(*sound(0.5, rate, channels), "-c:a", "libmp3lame", "-id3v2_version", 0, *options,
               *same(path))
        path.with_suffix(".cut").write_bytes(bytes([37 * number & 0x7f]) + path.read_bytes())


def write_lines(folder: Path, lines: list[bytes]) -> None:
    for number, line in enumerate(lines):
        (folder / f"line-{number}").write_bytes(line)


def kind_of(target: str) -> str:
    if target in LINES:
        return target
    if target.startswith("mp3_") or target == "media_layout":
        return "mp3"
    return "media" if target.startswith("media_") else target


def corpus_of(target: str, folder: Path) -> Path:
    """The folder of the target's first inputs; it is made once, also where several ask for it."""
    kind = kind_of(target)
    path = folder / kind
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / f"{kind}.complete").exists():
            return path
        path.mkdir(exist_ok=True)
        if kind == "media":
            write_media(path, folder / "seeds")
        elif kind == "mp3":
            write_mp3s(path)
        else:
            write_lines(path, LINES.get(target, [b"\n"]))
        (folder / f"{kind}.complete").touch()
    return path


def dictionary() -> str:
    """The types of boxes, for libFuzzer."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in kind) + '"\n'
                   for kind in dict.fromkeys(TYPES))
