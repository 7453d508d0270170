"""`unreel probe`: what it says of a file must be what ffprobe says, or what went in."""
import json
import subprocess

import pytest

from media import ffmpeg, probe as ffprobe
from mp4_film import Film, box, data, full, item, itunes
from service import UNREEL
from test_media_convert import SOURCES, make, run  # noqa: F401 (a fixture)
from test_media_metadata import CHAPTERS, EXPECTED, TEXTS, film, folder, pictures, plain  # noqa: F401


def probe(*words, **options) -> dict:
    done = run("probe", *words, **options)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", SOURCES)
def test_every_codec_has_its_facts(make, name):  # noqa: F811
    path, _ = make(name)
    _, rate, channels = SOURCES[name]
    about = probe(path)
    assert about["size_bytes"] == path.stat().st_size
    assert about["convertible"] and not about["fragmented"] and "reason" not in about
    track, = about["audio"]
    codec = {"pcm16": "PCM", "pcm24": "PCM", "pcm-float": "PCM", "mulaw": "µ-law", "mono": "AAC"}
    assert track["codec"] == codec.get(path.stem, path.stem.split("-")[0].upper().replace("OPUS", "Opus"))
    assert (track["rate_hz"], track["channels"]) == (rate, channels)
    assert track["layout"] == ("stereo" if channels == 2 else "mono")
    assert track["number"] == 1 and track["default"] and not track["encrypted"]
    seen = ffprobe(path, "stream=duration,bit_rate")
    assert abs(track["duration_ms"] - float(seen["duration"]) * 1000) < 60
    assert track["bit_rate"] == pytest.approx(int(seen["bit_rate"]), rel=0.03)


def test_he_aac_is_named_as_such(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=d=2:r=22050", "-c:a", "aac", tmp_path / "lc.m4a")
    made = Film(tmp_path / "lc.m4a")
    entry = made.tracks()[0].find("mdia/minf/stbl/stsd")
    plain_lc = bytes.fromhex("138856e500")  # 22050 Hz, mono, explicitly without an upper half
    assert entry.content.count(plain_lc) == 1
    for configuration, codec, profile in (("2b8a100000", "HE-AAC", "HE-AAC"),
                                          ("138856e5a0", "HE-AAC", "HE-AAC"),
                                          ("eb8a100000", "HE-AAC v2", "HE-AACv2")):
        entry.content = entry.content.replace(plain_lc, bytes.fromhex(configuration))
        track, = probe(made.write(tmp_path / "he.m4a"))["audio"]
        assert (track["codec"], track["profile"]) == (codec, profile)
        assert track["rate_hz"] == 44100 and track["convertible"]
        entry.content = entry.content.replace(bytes.fromhex(configuration), plain_lc)


def test_tracks_are_listed_with_their_languages_and_names(plain, tmp_path):  # noqa: F811
    ffmpeg("-i", plain, "-map", 0, "-map", 0, "-map", 0, "-c", "copy", "-metadata:s:0",
           "language=eng", "-metadata:s:1", "language=ger", "-metadata:s:1", "title=Für Blinde",
           "-disposition:0", 0, "-disposition:1", "default", tmp_path / "film.mov")
    tracks = probe(tmp_path / "film.mov")["audio"]
    assert [track["number"] for track in tracks] == [1, 2, 3]
    assert [track.get("language") for track in tracks] == ["eng", "deu", None]
    assert [track.get("language_name") for track in tracks] == ["English", "German", None]
    assert [track["default"] for track in tracks] == [False, True, False]
    made = Film(tmp_path / "film.mov")
    made.tracks()[1].find("mdia").add(full("elng", b"de-CH\0"))
    made.tracks()[1].drop("udta").add(box("udta", box("name", "Für Blinde".encode())))
    tracks = probe(made.write(tmp_path / "named.mov"))["audio"]
    assert (tracks[1]["language"], tracks[1]["name"]) == ("de-CH", "Für Blinde")


def test_tags_cover_and_chapters_are_told(plain, pictures, tmp_path):  # noqa: F811
    (tmp_path / "chapters").write_text(CHAPTERS)
    given = [word for name, text in TEXTS.items() for word in ("-metadata", f"{name}={text}")]
    ffmpeg("-i", plain, "-i", pictures["jpg"], "-i", tmp_path / "chapters", "-map", 0, "-map", 1,
           "-map_chapters", 2, "-c", "copy", "-disposition:v", "attached_pic", *given,
           tmp_path / "film.m4a")
    about = probe(tmp_path / "film.m4a")
    assert about["tags"] == TEXTS
    assert about["cover"] == {"mime": "image/jpeg", "size_bytes": pictures["jpg"].stat().st_size,
                              "width": 64, "height": 48}
    assert [(one["start_ms"], one["end_ms"], one["title"]) for one in about["chapters"]] == EXPECTED
    assert about["brand"] == "M4A" and about["duration_ms"] == 3000


def test_the_head_of_a_broken_picture_tells_no_measures(film, tmp_path):  # noqa: F811
    for cover in (b"\xff\xd8\xff" + bytes(20), b"\xff\xd8\xff\xe0\0\0" * 9, b"\x89PNG\r\n\x1a\n\0"):
        film.moov.drop("udta").add(itunes(item("covr", data(cover, 13))))
        about = probe(film.write(tmp_path / "film.mp4"))["cover"]
        assert about["size_bytes"] == len(cover) and "width" not in about


def test_a_fragmented_file_is_told_as_such(plain, tmp_path):  # noqa: F811
    ffmpeg("-i", plain, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", tmp_path / "film.mp4")
    about = probe(tmp_path / "film.mp4")
    assert about["fragmented"] and about["convertible"]
    assert about["audio"][0]["codec"] == "AAC" and about["audio"][0]["rate_hz"] == 44100


def test_why_a_file_cannot_be_converted_is_told(make, film, plain, tmp_path):  # noqa: F811
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_bytes(b"this is no film at all, is it? " * 9)
    (tmp_path / "cut.mp4").write_bytes(plain.read_bytes()[:9000])
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x48:d=1", tmp_path / "silent.mp4")
    for name, code in (("empty", "empty"), ("text", "not_media"), ("cut", "truncated"),
                       ("silent", "no_audio")):
        about = probe(tmp_path / f"{name}.mp4")
        assert not about["convertible"] and about["reason"]["code"] == code
        assert about["reason"]["detail"].endswith(".")
    ffmpeg("-i", plain, "-c:a", "libvorbis", tmp_path / "vorbis.mp4")
    about = probe(tmp_path / "vorbis.mp4")
    assert about["audio"][0]["format"] == "mp4a" and about["audio"][0]["codec"] == "Vorbis"
    assert about["audio"][0]["reason"]["code"] == about["reason"]["code"] == "unsupported_codec"
    entry = film.tracks()[0].find("mdia/minf/stbl/stsd")
    entry.content = entry.content.replace(b"mp4a", b"enca", 1)
    about = probe(film.write(tmp_path / "locked.mp4"))
    assert about["audio"][0]["encrypted"] and about["reason"]["code"] == "encrypted"


def test_a_pipe_is_read_too(plain):  # noqa: F811
    piped = subprocess.run([UNREEL, "probe", "-"], input=plain.read_bytes(), capture_output=True,
                           check=True).stdout
    assert json.loads(piped) == probe(plain)


def test_a_name_may_begin_with_a_dash(plain, tmp_path):  # noqa: F811
    (tmp_path / "-x.m4a").write_bytes(plain.read_bytes())
    assert probe("--", "-x.m4a", cwd=tmp_path) == probe(plain)


def test_wrong_usage_and_files_that_are_not_there(tmp_path):
    for words, status, text in ((("probe",), 2, b"which file"), (("probe", "a", "b"), 2, b"too many"),
                                (("probe", "--all"), 2, b"unknown option"),
                                (("probe", "--all", "a"), 2, b"unknown option"),
                                (("probe", tmp_path / "none"), 1, b"No such file"),
                                (("probe", tmp_path), 1, b"This is a folder")):
        done = run(*words)
        assert done.returncode == status and text in done.stderr and done.stdout == b""
        assert done.stderr.count(b"\n") == 1
    assert b"Usage: unreel probe FILE" in run("probe", "--help").stdout


def test_a_full_output_is_an_error(plain):  # noqa: F811
    with open("/dev/full", "wb") as full_device:
        done = subprocess.run([UNREEL, "probe", plain], stdout=full_device, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"could not be written" in done.stderr


# ---- the choice of a track ----

@pytest.fixture(scope="module")
def two_languages(tmp_path_factory):
    """English is low, German is high; German comes second and is not enabled."""
    path = tmp_path_factory.mktemp("tracks") / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=f=300:d=2", "-f", "lavfi", "-i", "sine=f=3000:d=2",
           "-map", 0, "-map", 1, "-c:a", "aac", "-metadata:s:0", "language=eng",
           "-metadata:s:1", "language=ger", "-disposition:0", "default", "-disposition:1", 0, path)
    return path


def sound(mp3) -> bytes:
    return subprocess.run(["ffmpeg", "-v", "error", "-i", mp3, "-f", "s16le", "-"],
                          capture_output=True, check=True).stdout


@pytest.mark.parametrize("wanted", ["2", "deu", "ger", "de", "DE"])
def test_a_track_is_chosen_by_number_and_by_language(two_languages, tmp_path, wanted):
    ffmpeg("-i", two_languages, "-map", "0:1", "-c", "copy", tmp_path / "alone.mp4")
    for source, options in ((two_languages, ("--track", wanted)), (tmp_path / "alone.mp4", ())):
        done = run("convert", source, tmp_path / f"{source.stem}.mp3", *options)
        assert done.returncode == 0, done.stderr
    chosen = sound(tmp_path / "film.mp3")
    assert chosen == sound(tmp_path / "alone.mp3")
    done = run("convert", two_languages, tmp_path / "first.mp3")
    assert done.returncode == 0 and sound(tmp_path / "first.mp3") != chosen


def test_a_track_that_is_not_there_is_refused_with_the_list(two_languages, tmp_path):
    for wanted in ("fra", "3", "de-CH"):
        done = run("convert", two_languages, tmp_path / "out.mp3", "--track", wanted)
        assert done.returncode == 1
        assert done.stderr.decode().endswith(
            f"There is no track \"{wanted.lower()}\". "
            "This file has: 1 English (eng), 2 German (ger).\n")
        assert not (tmp_path / "out.mp3").exists()


def test_many_tracks_that_are_slow_to_hear_are_not_all_listened_to(plain, tmp_path):  # noqa: F811
    """Each has a million packets with nothing in them."""
    count, made = 1000000, Film(plain)
    original, = made.tracks()
    table = original.find("mdia/minf/stbl")
    table.content = [table.find("stsd"), full("stts", 1, count, 1024), full("stsc", 1, 1, count, 1),
                     full("stz2", 4, count, bytes(count // 2)), full("stco", 1, 100)]
    made.moov.add(*[original] * 59)
    about = probe(made.write(tmp_path / "slow.m4a"))
    codes = [track["reason"]["code"] for track in about["audio"]]
    assert codes[0] == "unsupported_codec" and codes[-1] == "too_complex" and len(codes) == 60
    assert about["reason"] == about["audio"][0]["reason"]
