"""The media engine by itself: `unreel-media` on files that ffmpeg makes here, its MP3s decoded again
and compared with what went in."""
import array
import operator
import os
import subprocess
from pathlib import Path

import pytest

from media import ffmpeg
from service import BUILD

PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=6")
SPEECH = ("The quick brown fox jumps over the lazy dog, and five boxing wizards jump quickly. "
          "How vexingly quick daft zebras jump.")

# Name, encoder's options, rate and channels of the source.
SOURCES = {
    "aac.mp4": (("-c:a", "aac"), 48000, 2),
    "aac-44100.m4a": (("-c:a", "aac"), 44100, 2),
    "aac-96000.m4a": (("-c:a", "aac"), 96000, 2),
    "aac-32000.m4a": (("-c:a", "aac"), 32000, 2),
    "aac-22050.m4a": (("-c:a", "aac"), 22050, 2),
    "aac-16000.m4a": (("-c:a", "aac"), 16000, 1),
    "aac-11025.m4a": (("-c:a", "aac"), 11025, 1),
    "aac-8000.m4a": (("-c:a", "aac"), 8000, 1),
    "aac-7350.m4a": (("-c:a", "aac"), 7350, 1),
    "mono.mp4": (("-c:a", "aac"), 48000, 1),
    "alac.m4a": (("-c:a", "alac"), 44100, 2),
    "flac.mp4": (("-c:a", "flac", "-strict", "-2"), 48000, 2),
    "opus.mp4": (("-c:a", "libopus", "-b:a", "128k"), 48000, 2),
    "mp3.mp4": (("-c:a", "libmp3lame", "-b:a", "192k"), 44100, 2),
    "pcm16.mov": (("-c:a", "pcm_s16le"), 48000, 2),
    "pcm24.mov": (("-c:a", "pcm_s24be"), 96000, 2),
    "pcm-float.mov": (("-c:a", "pcm_f32le"), 44100, 1),
    "mulaw.mov": (("-c:a", "pcm_mulaw"), 8000, 1),
}


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """Makes a file from speech once: make(name, options, rate, channels) -> (file, its source)."""
    folder = tmp_path_factory.mktemp("convert")
    raw = folder / "raw.wav"
    subprocess.run(["espeak-ng", "-w", raw, SPEECH], check=True)

    def wav(rate: int, channels: int) -> Path:
        path = folder / f"source-{rate}-{channels}.wav"
        if not path.exists():
            side = "pan=stereo|c0=c0|c1=0.6*c0," if channels == 2 else ""
            ffmpeg("-i", raw, "-af", f"{side}volume=0.7", "-ar", rate, "-t", "5.1234",
                   "-c:a", "pcm_s16le", path)
        return path

    def one(name: str, options=None, rate: int = 48000, channels: int = 2,
            picture: bool = False) -> tuple[Path, Path]:
        source, path = wav(rate, channels), folder / name
        if options is None:
            options, rate, channels = SOURCES[name]
            source = wav(rate, channels)
        if not path.exists():
            ffmpeg(*(PICTURE if picture else ()), "-i", source, *map(str, options), path)
        return path, source

    return one


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([BUILD / "unreel-media", *map(str, arguments)], capture_output=True,
                          timeout=120, **options)


def convert(path: Path, out: Path, *options) -> Path:
    done = run("convert", path, out, *options)
    assert done.returncode == 0, done.stderr.decode()
    return out


def refusal(path: Path) -> str:
    done = run("convert", path, path.with_suffix(".refused.mp3"))
    assert done.returncode == 1
    assert not list(path.parent.glob("*.refused.mp3*"))
    text = done.stderr.decode()
    assert text.startswith(f"unreel: {path}: ") and text.endswith("\n") and text.count("\n") == 1
    return text[len(f"unreel: {path}: "):-1]


def child(path: Path, out: Path, *options) -> list[str]:
    """The report lines of the converter's face."""
    with open(path, "rb") as source, open(out, "w+b") as output:
        done = subprocess.run([BUILD / "unreel-media", "child", *map(str, options)], stdin=source,
                              stdout=output, stderr=subprocess.PIPE, timeout=120)
    return done.stderr.decode().splitlines()


def probe(path: Path) -> dict:
    lines = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries",
         "stream=sample_rate,channels,codec_name,bit_rate:format_tags:format=duration", "-of",
         "default=noprint_wrappers=1", path], check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in lines.splitlines())


def decode(path: Path, rate: int, channels: int) -> array.array:
    raw = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:a:0", "-ar",
                          str(rate), "-ac", str(channels), "-f", "s16le", "-"],
                         check=True, capture_output=True).stdout
    return array.array("h", raw)


def frames(path: Path, rate: int, channels: int) -> int:
    return len(decode(path, rate, channels)) // channels


def correlation(a, b) -> float:
    power = sum(map(operator.mul, a, a)) * sum(map(operator.mul, b, b))
    return sum(map(operator.mul, a, b)) / power ** 0.5


def best_lag(a, b, reach: int = 8) -> int:
    middle = range(len(a) // 3, len(a) // 3 + 12000)
    part = a[middle.start:middle.stop]
    return max(range(-reach, reach + 1), key=lambda lag: correlation(
        part, b[middle.start + lag:middle.stop + lag]))


@pytest.mark.parametrize("name", SOURCES)
def test_the_mp3_is_its_source_sample_by_sample_in_place(make, tmp_path, name):
    path, source = make(name)
    _, rate, channels = SOURCES[name]
    mp3 = convert(path, tmp_path / "out.mp3")
    expected = {96000: 48000, 7350: 8000}.get(rate, rate)
    about = probe(mp3)
    assert about["codec_name"] == "mp3"
    assert (int(about["sample_rate"]), int(about["channels"])) == (expected, channels)
    before, after = decode(source, expected, channels), decode(mp3, expected, channels)
    # The resampler may round its very last sample either way.
    assert abs(len(after) - len(before)) <= (0 if expected == rate else channels)
    left_before, left_after = before[::channels], after[::channels]
    assert correlation(left_before, left_after) >= 0.99
    assert best_lag(left_before, left_after) == 0


@pytest.mark.parametrize("codec", ["ac3", "eac3"])
def test_ac3_is_decoded_as_ffmpeg_decodes_it(make, tmp_path, codec):
    path, _ = make(f"{codec}.mp4", ("-c:a", codec, "-b:a", "192k"))
    mp3 = convert(path, tmp_path / "out.mp3")
    before, after = decode(path, 48000, 2), decode(mp3, 48000, 2)
    # FFmpeg 7 notes in the file where the last frame's sound ends, and decodes that frame whole.
    assert 0 <= len(before) - len(after) < 2 * 1536
    assert correlation(before[:len(after)], after) >= 0.99


def test_surround_is_mixed_down_to_stereo(make, tmp_path):
    path, _ = make("surround.mp4", (
        "-af", "pan=5.1|c0=0.5*c0|c1=0.2*c1|c2=0.3*c0|c3=0*c0|c4=0.2*c0|c5=0.2*c1", "-c:a", "aac",
        "-b:a", "256k"))
    mp3 = convert(path, tmp_path / "out.mp3")
    assert probe(mp3)["channels"] == "2"
    # In 16 bits ffmpeg would scale the mix down to what cannot overflow; in floats it does not.
    mixed = tmp_path / "mixed.wav"
    ffmpeg("-i", path, "-ac", 2, "-sample_fmt", "flt", "-c:a", "pcm_f32le", mixed)
    before, after = decode(mixed, 48000, 2), decode(mp3, 48000, 2)
    for side in (0, 1):
        a, b = before[side::2], after[side::2]
        assert correlation(a[:len(b)], b[:len(a)]) >= 0.99
    loudness = sum(map(abs, after)) / sum(map(abs, before))
    assert 0.95 < loudness < 1.05


# An index that ffmpeg writes before the first packet cannot say how long the priming is.
@pytest.mark.parametrize("flags,priming", [
    ("", 0), ("+faststart", 0), ("+frag_keyframe+empty_moov", 1024),
    ("+frag_keyframe+empty_moov+default_base_moof", 1024),
    ("+frag_keyframe+delay_moov+omit_tfhd_offset", 0)])
def test_a_video_gives_its_sound_however_it_is_laid_out(make, tmp_path, flags, priming):
    path, source = make(f"video{flags}.mp4", (
        "-c:v", "mpeg4", "-c:a", "aac", *(("-movflags", flags) if flags else ())), picture=True)
    mp3 = convert(path, tmp_path / "out.mp3")
    before, after = decode(source, 48000, 2), decode(mp3, 48000, 2)[2 * priming:]
    assert len(before) == len(after)
    assert correlation(before, after) >= 0.99


def test_the_edit_list_cuts_priming_and_padding_to_the_sample(make, tmp_path):
    path, source = make("aac-44100.m4a")
    # What the packets hold is more than what is presented, at both ends.
    raw = subprocess.run(["ffprobe", "-v", "error", "-ignore_editlist", "1", "-show_entries",
                          "packet=pts", "-of", "csv=p=0", path], check=True, capture_output=True,
                         text=True).stdout.split()
    mp3 = convert(path, tmp_path / "out.mp3")
    exact = frames(source, 44100, 2)
    assert len(raw) * 1024 > exact + 1024
    assert frames(mp3, 44100, 2) == exact


def test_an_edit_that_starts_later_and_ends_earlier_is_obeyed(make, tmp_path):
    source, wav = make("alac.m4a")
    path = tmp_path / "cut.m4a"
    ffmpeg("-ss", "1.0", "-i", source, "-t", "2", "-c", "copy", path)
    mp3 = convert(path, tmp_path / "out.mp3")
    before, after = decode(path, 44100, 2), decode(mp3, 44100, 2)
    assert abs(len(before) - len(after)) <= 2 * 441
    count = min(len(before), len(after))
    assert correlation(before[:count], after[:count]) >= 0.99


def test_the_lame_header_makes_the_file_gapless(make, tmp_path):
    path, _ = make("alac.m4a")
    data = convert(path, tmp_path / "out.mp3").read_bytes()
    assert data.find(b"Xing") == 36
    assert data[36 + 120:36 + 129] == b"LAME3.100"


REFUSED = {
    "text": (b"Just some words, and no box at all.\n" * 9, "This is not an MP4, M4A or MOV file."),
    "empty": (b"", "This file is empty."),
    "one byte": (b"x", "This is not an MP4, M4A or MOV file."),
    "matroska": (b"\x1a\x45\xdf\xa3" + bytes(400), "This is not an MP4, M4A or MOV file."),
    "huge first box": (b"\x7f\xff\xff\xffftypisom", "This file is incomplete"),
    "tiny first box": (b"\0\0\0\4ftypisom", "This is not an MP4, M4A or MOV file."),
    "64-bit box over the end": (b"\0\0\0\1ftyp\x7f" + b"\xff" * 7, "This"),
    "moov with a child over its end": (
        b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x18moov\x7f\xff\xff\xffmvhd\0\0\0\0\0\0\0\0",
        "This file's index is damaged."),
    "a photo": (b"\0\0\0\x10ftypheic\0\0\0\0\0\0\0\x0cmeta\0\0\0\0" + b"\0\0\0\x10mdat12345678",
                "This is not an MP4, M4A or MOV file."),
    "ftyp alone": (b"\0\0\0\x10ftypisom\0\0\0\0", "This file is incomplete"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_file_is_refused_with_its_reason(tmp_path, name):
    content, text = REFUSED[name]
    path = tmp_path / "file.mp4"
    path.write_bytes(content)
    assert refusal(path).startswith(text)


def test_an_mp3_named_mp4_is_refused(make, tmp_path):
    _, source = make("aac.mp4")
    ffmpeg("-i", source, "-f", "mp3", tmp_path / "music.mp4")
    assert refusal(tmp_path / "music.mp4") == "This is not an MP4, M4A or MOV file."


def test_a_video_without_sound_says_so(tmp_path):
    ffmpeg(*PICTURE, "-c:v", "mpeg4", tmp_path / "silent.mp4")
    assert refusal(tmp_path / "silent.mp4") == "This video has no audio track."


def test_an_encrypted_file_says_so(make):
    path, _ = make("encrypted.mp4", (
        "-c:a", "aac", "-encryption_scheme", "cenc-aes-ctr", "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid",
        "a7e61c373e219033c21091fa607bf3b8"))
    assert "copy-protected" in refusal(path)


def test_a_codec_that_is_not_on_the_list_is_refused(make):
    path, _ = make("vorbis.mp4", ("-c:a", "libvorbis"))
    assert "cannot be converted" in refusal(path)


@pytest.mark.parametrize("flags,share", [("", 0.5), ("+faststart", 0.6), ("+faststart", 0.97),
                                         ("+frag_keyframe+empty_moov", 0.6)])
def test_a_file_that_was_cut_is_refused_not_converted_by_half(make, tmp_path, flags, share):
    path, _ = make(f"video{flags}.mp4", (
        "-c:v", "mpeg4", "-c:a", "aac", *(("-movflags", flags) if flags else ())), picture=True)
    data = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[:int(len(data) * share)])
    assert refusal(cut) == "This file is incomplete: a part of it is missing."


def test_bytes_behind_the_last_box_do_no_harm(make, tmp_path):
    path, source = make("alac.m4a")
    longer = tmp_path / "longer.m4a"
    longer.write_bytes(path.read_bytes() + bytes(100))
    assert frames(convert(longer, tmp_path / "out.mp3"), 44100, 2) == frames(source, 44100, 2)


def test_a_wrong_length_in_the_header_harms_nothing(make, tmp_path):
    path, source = make("aac-44100.m4a")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 4 + 16
    data[at:at + 4] = (44100 * 500).to_bytes(4, "big")
    (tmp_path / "long.m4a").write_bytes(data)
    mp3 = convert(tmp_path / "long.m4a", tmp_path / "out.mp3")
    assert frames(mp3, 44100, 2) == frames(source, 44100, 2)


def test_damaged_packets_are_passed_over(make, tmp_path):
    path, source = make("aac-44100.m4a")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 9000
    data[start:start + 1500] = os.urandom(1500)
    damaged = tmp_path / "damaged.m4a"
    damaged.write_bytes(data)
    lines = child(damaged, tmp_path / "out.mp3")
    assert lines[-1].startswith("done ")
    assert abs(frames(tmp_path / "out.mp3", 44100, 2) - frames(source, 44100, 2)) < 44100


def test_the_files_own_title_stands_in_the_tag(make, tmp_path):
    title = "Ünïcode — 東京 \U0001f3b5"
    path, _ = make("titled.m4a", ("-c:a", "alac", "-metadata", f"title={title}", "-metadata",
                                  "artist=Ensemble Österreich", "-metadata", "date=2019-05-04"))
    mp3 = convert(path, tmp_path / "out.mp3", "--title", "not this one")
    about = probe(mp3)
    assert about["TAG:title"] == title
    assert about["TAG:artist"] == "Ensemble Österreich"
    assert about["TAG:date"] == "2019-05-04"
    assert not [key for key in about if "brand" in key or "encoder" in key.lower()]
    data = mp3.read_bytes()
    assert data[:6] == b"ID3\3\0\0"
    text = b"\1\xff\xfe" + title.encode("utf-16-le")
    frame = b"TIT2" + len(text).to_bytes(4, "big") + b"\0\0" + text
    assert data[10:10 + len(frame)] == frame


def test_a_given_title_is_for_a_file_without_one(make, tmp_path):
    path, _ = make("aac.mp4")
    assert probe(convert(path, tmp_path / "a.mp3", "--title", "Ferien"))["TAG:title"] == "Ferien"
    assert convert(path, tmp_path / "b.mp3").read_bytes()[:2] == b"\xff\xfb"


def test_presets_set_bit_rate_and_shape(make, tmp_path):
    path, _ = make("aac.mp4")
    sizes = {}
    for preset in ("best", "standard", "small", "voice", "cbr128", "cbr192", "cbr256", "cbr320"):
        mp3 = convert(path, tmp_path / f"{preset}.mp3", "--preset", preset)
        sizes[preset] = mp3.stat().st_size
        header = mp3.read_bytes()[:200]
        if preset.startswith("cbr"):
            assert b"Info" in header
            assert int(probe(mp3)["bit_rate"]) == int(preset[3:]) * 1000
        else:
            assert b"Xing" in header
    assert sizes["best"] > sizes["standard"] > sizes["small"] > sizes["voice"]
    voice = probe(tmp_path / "voice.mp3")
    assert (voice["sample_rate"], voice["channels"]) == ("24000", "1")


def test_mixing_to_mono_cannot_overflow(tmp_path):
    loud = tmp_path / "loud.m4a"
    ffmpeg("-f", "lavfi", "-i", "aevalsrc=0.9*sin(2*PI*440*t)|0.9*sin(2*PI*440*t):s=44100:d=2",
           "-c:a", "alac", loud)
    mp3 = convert(loud, tmp_path / "out.mp3", "--preset", "voice")
    assert max(decode(mp3, 22050, 1)) < 0.95 * 32768


def test_standard_input_and_output_may_be_pipes(make, tmp_path):
    path, _ = make("aac.mp4")
    plain = convert(path, tmp_path / "plain.mp3").read_bytes()
    piped = run("convert", "-", input=path.read_bytes())
    assert piped.returncode == 0 and piped.stdout == plain
    assert run("convert", path, "-").stdout == plain
    assert run("convert", "-", tmp_path / "in.mp3", input=path.read_bytes()).returncode == 0
    assert (tmp_path / "in.mp3").read_bytes() == plain


def test_without_a_name_the_mp3_stands_beside_the_video(make, tmp_path):
    path, _ = make("aac.mp4")
    video = tmp_path / "some.holiday.mp4"
    video.write_bytes(path.read_bytes())
    assert run("convert", video).returncode == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["some.holiday.mp3",
                                                                "some.holiday.mp4"]


def test_a_name_may_be_as_long_as_names_can_be(make, tmp_path):
    path, _ = make("aac.mp4")
    video = tmp_path / ("电" * 83 + "ab.mp4")  # 255 bytes
    video.write_bytes(path.read_bytes())
    assert run("convert", video).returncode == 0
    assert sorted(tmp_path.iterdir()) == [video.with_suffix(".mp3"), video]
    beyond = run("convert", video, tmp_path / ("电" * 85 + "a"))
    assert beyond.returncode == 1 and b"File name too long" in beyond.stderr


def test_only_files_are_replaced(make, tmp_path):
    path, _ = make("aac.mp4")
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("nowhere")
    refused = run("convert", path, pipe, "--force")
    assert refused.returncode == 2 and b'is no file; "-" writes standard output' in refused.stderr
    assert pipe.is_fifo()
    assert run("convert", path, link).returncode == 2
    assert link.is_symlink() and sorted(tmp_path.iterdir()) == [link, pipe]


def test_nothing_is_overwritten_unasked(make, tmp_path):
    path, _ = make("aac.mp4")
    video, there = tmp_path / "same.mp3", tmp_path / "there.mp3"
    video.write_bytes(path.read_bytes())
    there.write_bytes(b"precious")
    assert run("convert", video).returncode == 2
    assert run("convert", video, tmp_path / "." / "same.mp3", "--force").returncode == 2
    assert video.read_bytes() == path.read_bytes()
    assert run("convert", video, there).returncode == 2
    assert there.read_bytes() == b"precious"
    assert run("convert", video, there, "--force").returncode == 0
    assert there.read_bytes()[:2] == b"\xff\xfb"


def test_wrong_usage_is_told_from_a_wrong_file(tmp_path):
    assert run().returncode == 2
    assert run("convert").returncode == 2
    assert run("convert", "a", "b", "c").returncode == 2
    assert run("convert", "a.mp4", "--preset", "loud").returncode == 2
    assert run("convert", "a.mp4", "--no-such-option").returncode == 2
    missing = run("convert", tmp_path / "missing.mp4")
    assert missing.returncode == 1 and b"No such file" in missing.stderr
    assert b"folder" in run("convert", tmp_path, tmp_path / "x.mp3").stderr


def test_help_lists_the_presets():
    text = run("convert", "--help").stdout.decode()
    for preset in ("best", "standard", "small", "voice", "cbr128", "cbr320"):
        assert f"  {preset} " in text


def test_the_child_reports_progress_and_the_exact_duration(make, tmp_path):
    path, source = make("aac.mp4")
    lines = child(path, tmp_path / "out.mp3", "--preset", "standard", "--title", "T",
                  "--max-duration-ms", 60000, "--cores", 2)
    assert lines[0].startswith("confined seccomp no_new_privs rlimits")
    assert all(line.startswith("progress ") for line in lines[1:-1])
    assert lines[-1] == f"done duration_ms={round(frames(source, 48000, 2) / 48)}"


def test_the_child_names_the_code(make, tmp_path):
    path, _ = make("aac.mp4")
    assert child(path, tmp_path / "out.mp3", "--max-duration-ms", 3000)[-1] == \
        "fail too_long This video is longer than is allowed here."
    (tmp_path / "words").write_text("words, words, words")
    assert child(tmp_path / "words", tmp_path / "out.mp3")[-1].startswith("fail not_media ")
    assert child(path, tmp_path / "out.mp3", "--preset", "loud")[-1].startswith("fail internal ")


def grow(data: bytearray, boxes: tuple, at: int, gone: int, piece: bytes) -> bytes:
    """`piece` in place of `gone` bytes; the boxes around it take its size. The index stands last."""
    for name in boxes:
        start = data.index(name) - 4
        size = int.from_bytes(data[start:start + 4], "big") + len(piece) - gone
        data[start:start + 4] = size.to_bytes(4, "big")
    data[at:at + gone] = piece
    return bytes(data)


def box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4, "big") + name + body


def test_an_announced_length_beyond_all_sense_is_too_long(make, tmp_path):
    path, _ = make("aac.mp4")
    data = bytearray(path.read_bytes().replace(b"edts", b"free"))  # what it presents is short
    head = data.index(b"mdhd") - 4
    wide = box(b"mdhd", b"\1\0\0\0", bytes(16), (1).to_bytes(4, "big"), b"\xff" * 7 + b"\xfe",
               bytes(4))
    (tmp_path / "long.mp4").write_bytes(grow(data, (b"moov", b"trak", b"mdia"), head, 32, wide))
    assert child(tmp_path / "long.mp4", tmp_path / "out.mp3", "--max-duration-ms",
                 60000)[-1].startswith("fail too_long ")


def test_a_hundred_thousand_tags_are_passed_over(make, tmp_path):
    path, _ = make("aac.mp4")
    zero = bytes(4)
    tags = b"".join(box(b"----", box(b"mean", zero, b"com"), box(b"name", zero, b"%08x" % i),
                        box(b"data", b"\0\0\0\1", zero, b"x")) for i in range(100000))
    handler = box(b"hdlr", bytes(8), b"mdir", bytes(13))
    udta = box(b"udta", box(b"meta", zero, handler, box(b"ilst", tags)))
    data = bytearray(path.read_bytes())
    (tmp_path / "tags.mp4").write_bytes(grow(data, (b"moov",), len(data), 0, udta))
    assert child(tmp_path / "tags.mp4", tmp_path / "out.mp3")[-1].startswith("done ")


def test_an_edit_list_that_presents_nothing_leaves_no_audio(make, tmp_path):
    path, _ = make("aac-44100.m4a")
    data = bytearray(path.read_bytes())
    times, edit = data.index(b"stts") + 12, data.index(b"elst") + 16
    data[times:times + 4] = (1 << 20).to_bytes(4, "big")
    data[edit:edit + 4] = (5000000).to_bytes(4, "big")
    (tmp_path / "nothing.m4a").write_bytes(data)
    assert child(tmp_path / "nothing.m4a", tmp_path / "out.mp3")[-1].startswith("fail no_audio ")


def test_a_sample_of_two_gigabytes_is_the_files_fault(make, tmp_path):
    path, _ = make("fragments.mp4", ("-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov"))
    data = bytearray(path.read_bytes())
    size = data.index(b"trun") + 4 + 16  # behind the first duration
    data[size:size + 4] = b"\x7f\xff\xff\xff"
    (tmp_path / "large.mp4").write_bytes(data)
    assert child(tmp_path / "large.mp4", tmp_path / "out.mp3")[-1].startswith("fail too_complex ")


def test_a_full_disk_is_no_fault_of_the_file(make, tmp_path):
    path, _ = make("aac.mp4")
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("there is no /dev/full")
    assert child(path, Path("/dev/full"))[-1].startswith("fail no_space ")


@pytest.mark.release_build
def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
    minute, hour, names = tmp_path / "minute.m4a", tmp_path / "hour.m4a", tmp_path / "names"
    ffmpeg("-f", "lavfi", "-i", "sine=440:sample_rate=8000:duration=60", "-c:a", "aac", minute)
    names.write_text(f"file '{minute}'\n" * 60)
    ffmpeg("-f", "concat", "-safe", "0", "-i", names, "-c", "copy", hour)
    # Another process's children are counted alone.
    script = ("import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True);"
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    peak = [int(subprocess.run(["/usr/bin/python3", "-c", script, BUILD / "unreel-media", "convert",
                                file, "--preset", "small"], check=True, capture_output=True,
                               text=True).stdout) for file in (minute, hour)]
    assert peak[1] <= 48 * 1024
    assert peak[1] - peak[0] < 2048
