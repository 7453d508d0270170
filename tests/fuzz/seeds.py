"""Small sound files of every codec and layout that the converter takes, and some that it refuses: what
mutations begin with. ffmpeg makes them once a folder; the odd ones are built from those by hand, and what
was found to do harm is among them."""
import hashlib
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from boxes import Box, read_boxes, write_boxes

LARGEST_BYTES = 60_000
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=16x16:rate=5:duration=0.6")
TEXTS = ("-metadata", "title=Grüße ✓", "-metadata", "artist=Somebody", "-metadata", "date=2021-05-06",
         "-metadata", "track=3/9", "-metadata", "genre=Speech", "-metadata", "comment=A comment")

# Name: seconds, rate, channels, options of the encoder.
SOUNDS = {
    "aac.mp4": (0.5, 48000, 2, ("-c:a", "aac")),
    "aac-44100.m4a": (0.5, 44100, 2, ("-c:a", "aac", *TEXTS)),
    "aac-96000.m4a": (0.2, 96000, 2, ("-c:a", "aac")),
    "aac-8000.m4a": (0.8, 8000, 1, ("-c:a", "aac")),
    "aac-7350.m4a": (0.8, 7350, 1, ("-c:a", "aac")),
    "aac-5.1.mp4": (0.3, 48000, 6, ("-c:a", "aac")),
    "aac.mov": (0.3, 44100, 2, ("-c:a", "aac", *TEXTS)),
    "aac.3gp": (0.3, 44100, 1, ("-c:a", "aac", *TEXTS)),
    "keys.mov": (0.3, 44100, 1, ("-c:a", "aac", "-movflags", "+use_metadata_tags", *TEXTS)),
    "keys.mp4": (0.3, 44100, 1, ("-c:a", "aac", "-movflags", "+use_metadata_tags", *TEXTS)),
    "alac.m4a": (0.2, 44100, 2, ("-c:a", "alac")),
    "alac-24.m4a": (0.1, 48000, 2, ("-c:a", "alac", "-sample_fmt", "s32p")),
    "flac.mp4": (0.2, 48000, 2, ("-c:a", "flac", "-strict", "-2")),
    "flac-24.mp4": (0.1, 96000, 2, ("-c:a", "flac", "-sample_fmt", "s32", "-strict", "-2")),
    "opus.mp4": (0.5, 48000, 2, ("-c:a", "libopus")),
    "opus-5.1.mp4": (0.3, 48000, 6, ("-c:a", "libopus", "-mapping_family", "1")),
    "mp3.mp4": (0.5, 44100, 2, ("-c:a", "libmp3lame")),
    "mp3-22050.mov": (0.5, 22050, 1, ("-c:a", "libmp3lame")),
    "ac3.mp4": (0.4, 48000, 6, ("-c:a", "ac3")),
    "eac3.mp4": (0.4, 48000, 2, ("-c:a", "eac3")),
    "s16le.mov": (0.2, 48000, 2, ("-c:a", "pcm_s16le")),
    "s16be.mov": (0.2, 22050, 2, ("-c:a", "pcm_s16be")),
    "s24be.mov": (0.05, 96000, 2, ("-c:a", "pcm_s24be")),
    "s24le.mov": (0.1, 48000, 2, ("-c:a", "pcm_s24le")),
    "s32le.mov": (0.05, 48000, 2, ("-c:a", "pcm_s32le")),
    "f32le.mov": (0.1, 44100, 1, ("-c:a", "pcm_f32le")),
    "f64be.mov": (0.05, 44100, 1, ("-c:a", "pcm_f64be")),
    "u8.mov": (0.5, 11025, 1, ("-c:a", "pcm_u8")),
    "s8.mov": (0.5, 11025, 1, ("-c:a", "pcm_s8")),
    "mulaw.mov": (0.8, 8000, 1, ("-c:a", "pcm_mulaw")),
    "alaw.mov": (0.8, 8000, 2, ("-c:a", "pcm_alaw")),
    "long.mp4": (40, 48000, 1, ("-c:a", "libopus", "-b:a", "9k")),  # enough for a second thread
    "front.mp4": (0.5, 44100, 2, ("-c:a", "aac", "-movflags", "+faststart")),
    "fragments.mp4": (1.5, 44100, 1, ("-c:a", "aac", "-frag_duration", "400000",
                                      "-movflags", "+empty_moov")),
    "fragments-base.mp4": (1, 44100, 1, ("-c:a", "aac", "-frag_duration", "300000",
                                         "-movflags", "+empty_moov+default_base_moof")),
    "fragments-late.mp4": (1, 48000, 2, ("-c:a", "aac", "-frag_duration", "300000",
                                         "-movflags", "+delay_moov+omit_tfhd_offset")),
    "dash.mp4": (1, 48000, 2, ("-c:a", "aac", "-frag_duration", "300000", "-movflags",
                               "+dash+cmaf+delay_moov+global_sidx")),
    "fragments-opus.mp4": (1, 48000, 2, ("-c:a", "libopus", "-frag_duration", "300000", "-movflags",
                                         "+empty_moov")),
    "vorbis.mp4": (0.3, 44100, 2, ("-c:a", "libvorbis")),
    "encrypted.mp4": (0.3, 44100, 1, (
        "-c:a", "aac", "-encryption_scheme", "cenc-aes-ctr", "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")),
    "film.mkv": (0.2, 44100, 1, ("-c:a", "aac")),
    "music.mp3": (0.2, 44100, 1, ("-c:a", "libmp3lame")),
}
CHAPTERS = ";FFMETADATA1\ntitle=A book\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={i * 150}\nEND={i * 150 + 150}\ntitle=Chapter {i} ✓\n"
    for i in range(4))


def ffmpeg(*arguments) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def sound(seconds: float, rate: int, channels: int) -> tuple:
    tones = "|".join(f"0.4*sin(2*PI*t*{300 + 170 * i})+0.05*random({i})" for i in range(channels))
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    return "-f", "lavfi", "-i", f"aevalsrc='{tones}':s={rate}:d={seconds}:c={layout}"


def same(path: Path) -> tuple:
    """Options that make ffmpeg write the same bytes each time."""
    return "-map_metadata:s", "-1", "-fflags", "+bitexact", "-flags", "+bitexact", path


def make_sound(folder: Path, name: str) -> None:
    seconds, rate, channels, options = SOUNDS[name]
    ffmpeg(*sound(seconds, rate, channels), *options, *same(folder / name))


def make_videos(folder: Path) -> None:
    """What takes more than one input."""
    small = ("-c:v", "mpeg4", "-b:v", "20k", "-c:a", "aac", "-b:a", "64k")
    ffmpeg(*PICTURE, *sound(0.6, 44100, 2), *small, *same(folder / "video.mp4"))
    ffmpeg(*PICTURE, *sound(0.6, 48000, 1), *small, "-movflags", "+frag_keyframe+empty_moov",
           *same(folder / "video-fragments.mp4"))
    ffmpeg(*PICTURE, *sound(0.4, 48000, 1), *small, "-timecode", "01:00:00:00",
           *same(folder / "video-timecode.mov"))
    ffmpeg(*PICTURE, "-c:v", "mpeg4", *same(folder / "silent.mp4"))
    ffmpeg(*sound(0.4, 44100, 1), *sound(0.4, 48000, 2), "-map", 0, "-map", 1, "-c:a", "aac",
           "-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra",
           "-disposition:a:1", "default", "-disposition:a:0", 0, "-fflags", "+bitexact", "-flags",
           "+bitexact", folder / "languages.mp4")
    (folder / "chapters.txt").write_text(CHAPTERS)
    ffmpeg(*sound(0.6, 22050, 1), "-i", folder / "chapters.txt", "-map_metadata", 1, "-map_chapters",
           1, "-c:a", "aac", "-b:a", "32k", *TEXTS, *same(folder / "chapters.m4b"))
    for codec, suffix in (("png", "png"), ("mjpeg", "jpg")):
        cover = folder / f"cover.{suffix}"
        ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x32:duration=0.1:rate=10", "-frames:v", 1,
               "-c:v", codec, *same(cover))
        ffmpeg(*sound(0.4, 44100, 1), "-i", cover, "-map", 0, "-map", 1, "-c:a", "aac", "-c:v", "copy",
               "-disposition:v:0", "attached_pic", *TEXTS, *same(folder / f"cover-{codec}.m4a"))
    ffmpeg("-ss", "0.2", "-i", folder / "alac.m4a", "-c", "copy", *same(folder / "edit.m4a"))


# ---- by hand ----

def table(boxes: list[Box], kind: bytes) -> Box:
    return next(box for top in boxes if (box := top.find(kind)))


def with_wide_sizes(boxes: list[Box]) -> None:
    for top in boxes:
        top.is_wide = True


def with_wide_offsets(boxes: list[Box]) -> None:
    box = table(boxes, b"stco")
    count = int.from_bytes(box.head[4:8], "big")
    offsets = struct.unpack_from(f">{count}I", box.head, 8)
    box.type, box.head = b"co64", box.head[:8] + struct.pack(f">{count}Q", *offsets)


def with_compact_sizes(boxes: list[Box]) -> None:
    box = table(boxes, b"stsz")
    sizes = struct.unpack_from(f">{int.from_bytes(box.head[8:12], 'big')}I", box.head, 12)
    box.type, box.head = b"stz2", (bytes(7) + b"\x10" + box.head[8:12] +
                                   struct.pack(f">{len(sizes)}H", *sizes))


def with_several_edits(boxes: list[Box]) -> None:
    box = table(boxes, b"elst")
    box.head = b"\1\0\0\0" + struct.pack(
        ">I QqI QqI QqI", 3, 100, -1, 0x10000, 100, 1024, 0x10000, 200, 4096, 0x10000)


def with_a_first_gap(boxes: list[Box]) -> None:
    box = table(boxes, b"elst")
    box.head = bytes(4) + struct.pack(">I IiI IiI", 2, 300, -1, 0x10000, 200, 1024, 0x10000)


def with_spectral_band_replication(boxes: list[Box]) -> None:
    box = table(boxes, b"esds")
    at = box.head.index(b"\x05\x80\x80\x80\x05") + 5
    box.head = box.head[:at] + bytes.fromhex("2b118800") + box.head[at + 4:]


def with_a_gap_in_time(boxes: list[Box]) -> None:
    box = table(boxes, b"stts")
    box.head = bytes(4) + struct.pack(">I II II II", 3, 5, 1024, 1, 30000, 1000, 1024)


def with_a_jump_back(boxes: list[Box]) -> None:
    box = table(boxes, b"stts")
    box.head = bytes(4) + struct.pack(">I II II II", 3, 3, 1024, 4, 0, 1000, 700)


def with_itunes_gapless(boxes: list[Box]) -> None:
    text = b" 00000000 00000840 000001CA 0000000000005000 00000000 00000000"
    item = Box(b"----", b"", [Box(b"mean", bytes(4) + b"com.apple.iTunes"),
                              Box(b"name", bytes(4) + b"iTunSMPB"),
                              Box(b"data", b"\0\0\0\1" + bytes(4) + text)])
    table(boxes, b"ilst").children.append(item)
    moov = table(boxes, b"trak")
    moov.children = [each for each in moov.children if each.type != b"edts"]


def with_odd_boxes(boxes: list[Box]) -> None:
    moov = table(boxes, b"moov")
    moov.children.insert(1, Box(b"free", bytes(40)))
    moov.children.append(Box(b"uuid", bytes(range(16)) + b"anything"))
    moov.find(b"stbl").children.append(Box(b"sgpd", bytes.fromhex(
        "01000000726f6c6c0000000200000001ffff")))
    moov.find(b"stbl").children.append(Box(b"sbgp", bytes.fromhex(
        "00000000726f6c6c000000010000000a00000001")))
    boxes.append(Box(b"skip", b"behind all"))


def with_late_chapters(boxes: list[Box]) -> None:
    """The second one begins after 49 days, the last time that a tag can hold."""
    texts = [each for each in table(boxes, b"moov").children if each.type == b"trak"][-1]
    texts.find(b"mdhd").head = bytes(12) + struct.pack(">II", 1, 100) + bytes(4)
    texts.find(b"stts").head = bytes(4) + struct.pack(">I II", 1, 4, 5_000_000)


def with_a_track_number_below_zero(boxes: list[Box]) -> None:
    """Each of its tables of samples makes libavformat count from the number up to zero."""
    number = b"\xff\xff\xff\xf0"
    for top in boxes:
        for kind, at in ((b"tkhd", 12), (b"trex", 4), (b"tfhd", 4)):
            if box := top.find(kind):
                box.head = box.head[:at] + number + box.head[at + 4:]
        if top.type == b"moof":
            top.find(b"traf").children += [top.find(b"trun").copy() for _ in range(30)]


def with_long_frames(boxes: list[Box]) -> None:
    """Its decoder would take 138 MiB for them at once."""
    configuration = table(boxes, b"stsd").children[0].children[0]
    configuration.head = configuration.head[:4] + bytes.fromhex("00ff1000") + configuration.head[8:]


def with_two_descriptions(boxes: list[Box]) -> None:
    box = table(boxes, b"stsd")
    box.head = bytes(4) + struct.pack(">I", 2)
    box.children.append(box.children[0].copy())


def with_an_end_of_its_own(boxes: list[Box]) -> None:
    boxes[-1].size = 0


ODD = {
    "wide-sizes.mp4": ("mp3.mp4", with_wide_sizes),
    "wide-offsets.mp4": ("aac.mp4", with_wide_offsets),
    "compact-sizes.mp4": ("aac.mp4", with_compact_sizes),
    "several-edits.m4a": ("aac-44100.m4a", with_several_edits),
    "first-gap.m4a": ("aac-44100.m4a", with_a_first_gap),
    "sbr.mp4": ("aac-44100.m4a", with_spectral_band_replication),
    "gap.m4a": ("aac-44100.m4a", with_a_gap_in_time),
    "jump-back.m4a": ("aac-44100.m4a", with_a_jump_back),
    "itunes.m4a": ("aac-44100.m4a", with_itunes_gapless),
    "late-chapters.m4b": ("chapters.m4b", with_late_chapters),
    "track-number.mp4": ("fragments.mp4", with_a_track_number_below_zero),
    "long-frames.m4a": ("alac.m4a", with_long_frames),
    "odd-boxes.mp4": ("opus.mp4", with_odd_boxes),
    "two-descriptions.mp4": ("alac.m4a", with_two_descriptions),
    "size-zero.mp4": ("aac.mp4", with_an_end_of_its_own),
}


def make_odd(folder: Path, name: str) -> None:
    source, change = ODD[name]
    boxes = read_boxes((folder / source).read_bytes())
    change(boxes)
    (folder / name).write_bytes(write_boxes(boxes))


def make_seeds(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: make_sound(folder, name), SOUNDS))
    make_videos(folder)
    for name in ODD:
        make_odd(folder, name)
    (folder / "words.mp4").write_bytes(b"Words and no box at all. " * 20)
    (folder / "complete").touch()


def load_seeds(folder: Path) -> dict[str, bytes]:
    """All seeds by name; makes them where the folder does not have them yet."""
    if not (folder / "complete").exists():
        make_seeds(folder)
    suffixes = {".mp4", ".m4a", ".m4b", ".mov", ".3gp", ".mkv", ".mp3"}
    seeds = {path.name: path.read_bytes() for path in sorted(folder.iterdir())
             if path.suffix in suffixes}
    too_large = [name for name, data in seeds.items() if len(data) > LARGEST_BYTES]
    if too_large:
        raise SystemExit(f"seeds over {LARGEST_BYTES} bytes: {', '.join(too_large)}")
    return seeds


def digest(seeds: dict[str, bytes]) -> str:
    """Says whether two machines mutate the same files."""
    total = hashlib.sha256()
    for name, data in seeds.items():
        total.update(name.encode() + hashlib.sha256(data).digest())
    return total.hexdigest()[:16]
