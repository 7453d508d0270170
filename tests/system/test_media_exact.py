"""That media_source gives exactly the samples that a player presents: tests/support/source_probe.c
writes them, and they are compared bit by bit with what went in or with what the decoder gives."""
import array
import subprocess
from functools import cache
from pathlib import Path

import pytest

from media import ffmpeg
from mp4_writer import Movie, Packet, aac_entry, adts_packets, entry_of, packets_of
from service import BUILD

DATA = Path(__file__).parent / "data"
RATE = 44100


def probe(path: Path, *selection) -> tuple[list[tuple], array.array, str]:
    """The runs (rate, channels, samples), all samples in one row, and the last line."""
    done = subprocess.run([BUILD / "tests/support/source-probe", path, *map(str, selection)],
                          capture_output=True, timeout=120)
    lines = done.stderr.decode().splitlines()
    runs = [tuple(map(int, line.split())) for line in lines[:-1]]
    return runs, array.array("f", done.stdout), lines[-1]


def samples_of(path: Path, *selection) -> array.array:
    runs, samples, end = probe(path, *selection)
    assert end.startswith("end ") and len(runs) == 1
    return samples


def length(path: Path, *selection) -> int:
    runs, _, end = probe(path, *selection)
    assert end.startswith("end ") and len(runs) == 1
    return runs[0][2]


def is_silent(samples) -> bool:
    return not any(samples)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("exact")


@pytest.fixture(scope="session")
def make(folder):
    @cache
    def one(name: str, codec: str, rate: int = RATE, channels: str = "mono", samples: int = 100000,
            extra: tuple = ()) -> Path:
        """Noise, of which no stretch is like another."""
        path = folder / name
        ffmpeg("-f", "lavfi", "-i", f"anoisesrc=r={rate}:a=0.3:seed=7:n=1024,"
               f"aformat=channel_layouts={channels}", "-af", f"atrim=end_sample={samples}",
               "-c:a", *codec.split(), *extra, "-strict", "-2", path)
        return path
    return one


@pytest.fixture(scope="session")
def lossless(make):
    """Packets of 4096 samples that decode to exactly what went in."""
    path = make("whole.m4a", "alac", samples=20 * 4096)
    return [entry_of(path)], packets_of(path), samples_of(path)


def frames(*packets: int) -> slice:
    return slice(packets[0] * 4096, packets[-1] * 4096 + 4096)


@pytest.mark.parametrize("name,codec,rate,channels,extra", [
    ("51.m4a", "aac", 48000, "5.1", ()), ("71.m4a", "aac", 48000, "7.1", ()),
    ("aac8.m4a", "aac", 8000, "mono", ()), ("aac96.m4a", "aac", 96000, "stereo", ()),
    ("front.m4a", "aac", 44100, "stereo", ("-movflags", "+faststart")),
    ("fragments.mp4", "aac", 44100, "stereo", ("-movflags", "+frag_keyframe+delay_moov")),
    ("alac24.m4a", "alac -sample_fmt s32p", 48000, "stereo", ()),
    ("alac51.m4a", "alac", 48000, "5.1", ()),
    ("flac.mp4", "flac", 96000, "stereo", ()), ("mp3.mp4", "libmp3lame", 32000, "mono", ()),
    ("opus.mp4", "libopus", 48000, "stereo", ()),
    ("opusfragments.mp4", "libopus", 48000, "mono", ("-movflags", "+frag_keyframe+delay_moov")),
    ("opus51.mp4", "libopus -mapping_family 1", 48000, "5.1", ()),
    ("pcm.mov", "pcm_s24le", 96000, "stereo", ()),
    ("behind.mov", "pcm_s16le", 44100, "mono",  # a table, and fragments behind it
     ("-movflags", "+frag_keyframe", "-frag_duration", "500000")),
    ("pcmfragments.mov", "pcm_s16le", 44100, "mono", ("-movflags", "+frag_keyframe+empty_moov")),
])
def test_as_many_samples_as_went_in(make, name, codec, rate, channels, extra):
    path = make(name, codec, rate, channels, 100000, extra)
    runs, _, end = probe(path)
    count = {"mono": 1, "stereo": 2, "5.1": 6, "7.1": 8}[channels]
    assert runs == [(rate, count, 100000)]
    assert end.startswith("end ")


@pytest.mark.parametrize("codec,channels,count", [("ac3", "5.1", 6), ("eac3", "stereo", 2)])
def test_ac3_begins_behind_its_priming_and_ends_where_the_file_says(make, codec, channels, count):
    runs, _, _ = probe(make(f"{codec}.mp4", codec, 48000, channels))
    # Before FFmpeg 7 the muxer did not note that the last frame, of 66, is filled up.
    assert runs in ([(48000, count, 100000)], [(48000, count, 66 * 1536 - 256)])


# AudioSpecificConfigs of 22,050 Hz cores that become 44,100 Hz: named, beside it, not at all.
HE_AAC = {"explicit": ("he-aac", "2b9208"), "compatible": ("he-aac", "139056e5a0"),
          "implicit": ("he-aac", "1390"), "v2 explicit": ("he-aac-v2", "eb8a08"),
          "v2 compatible": ("he-aac-v2", "138856e5a54880"), "v2 implicit": ("he-aac-v2", "1388")}
HE_SAMPLES = 74970  # that went in, at 44,100 Hz
HE_DELAY = {"he-aac": 5058, "he-aac-v2": 7106}  # says the encoder, libfdk-aac 2.0


def itunes(priming: int, count: int, total: int) -> str:
    return f" 00000000 {priming:08X} {total - priming - count:08X} {count:016X} 00000000"


@pytest.mark.parametrize("signalling", HE_AAC)
@pytest.mark.parametrize("clock", [22050, 44100])
def test_he_aac_is_exact_on_the_cores_clock_and_on_the_doubled_one(tmp_path, signalling, clock):
    name, config = HE_AAC[signalling]
    halves = 44100 // clock
    packets = adts_packets(DATA / f"{name}.adts", 2048 // halves)
    entry = aac_entry(bytes.fromhex(config), 22050, 1 if "v2" in name else 2)
    delay, total = HE_DELAY[name], 2048 * len(packets)

    def movie(**more) -> Path:
        return Movie([entry], packets, clock, movie_timescale=44100, **more).write(
            tmp_path / "he.m4a")
    everything = samples_of(movie())
    assert len(everything) == 2 * total
    wanted = everything[2 * delay:2 * (delay + HE_SAMPLES)]
    assert samples_of(movie(edits=[(HE_SAMPLES, delay // halves)])) == wanted
    for rate in (22050, 44100):  # the comment may count either
        part = 44100 // rate
        comment = itunes(delay // part, HE_SAMPLES // part, total // part)
        assert samples_of(movie(itunes=comment)) == wanted


def test_opus_without_an_edit_list_loses_its_pre_skip(make, tmp_path):
    path = make("opus.mp4", "libopus", 48000, "stereo", 100000, ())
    (tmp_path / "bare.mp4").write_bytes(path.read_bytes().replace(b"edts", b"free"))
    bare = samples_of(tmp_path / "bare.mp4")
    assert bare[:len(samples_of(path))] == samples_of(path)
    assert len(bare) == 2 * 100000


def test_edits_start_inside_packets_repeat_and_leave_room(lossless, tmp_path):
    entries, packets, sound = lossless
    edits = [(22050, -1), (10000, 30001), (5000, -1), (7777, 5), (1000, 60000, 0)]
    path = Movie(entries, packets, RATE, edits, RATE).write(tmp_path / "edits.m4a")
    heard = samples_of(path)
    assert is_silent(heard[:22050])
    assert heard[22050:32050] == sound[30001:40001]
    assert is_silent(heard[32050:37050])
    assert heard[37050:] == sound[5:7782]


@pytest.mark.parametrize("edits", [[(1000, 20 * 4096)], [(5000, -1)], []])
def test_an_edit_list_that_presents_nothing_presents_everything(lossless, tmp_path, edits):
    entries, packets, sound = lossless
    path = Movie(entries, packets, RATE, edits).write(tmp_path / "nothing.m4a")
    assert samples_of(path) == sound


def test_a_long_sample_leaves_silence_of_its_length(lossless, tmp_path):
    entries, packets, sound = lossless
    packets = [Packet(p.data, 4096 + (12345 if i == 4 else 0)) for i, p in enumerate(packets)]
    heard = samples_of(Movie(entries, packets, RATE).write(tmp_path / "gap.m4a"))
    assert heard[:5 * 4096] == sound[:5 * 4096]
    assert is_silent(heard[5 * 4096:5 * 4096 + 12345])
    assert heard[5 * 4096 + 12345:] == sound[5 * 4096:]


def test_stamps_in_milliseconds_are_no_gaps(lossless, tmp_path):
    entries, packets, sound = lossless
    packets = [Packet(p.data, round((i + 1) * 4096 / 44.1) - round(i * 4096 / 44.1))
               for i, p in enumerate(packets)]
    heard = samples_of(Movie(entries, packets, 1000).write(tmp_path / "ms.m4a"))
    assert heard == sound[:len(heard)] and len(sound) - len(heard) < 44.1


def test_fragments_keep_their_places(lossless, tmp_path):
    entries, packets, sound = lossless
    movie = Movie(entries, packets, RATE, movie_duration=5000)
    one = movie.write_fragments(tmp_path / "a.mp4", [(0, 0, 8), (8 * 4096, 8, 20)], roll=True)
    assert samples_of(one) == sound
    none = movie.write_fragments(tmp_path / "b.mp4", [(None, 0, 8), (None, 8, 20)])
    assert samples_of(none) == sound
    gap = movie.write_fragments(tmp_path / "c.mp4", [(3000, 0, 8), (40000, 8, 20)])
    heard = samples_of(gap)
    assert is_silent(heard[:3000]) and heard[3000:3000 + 8 * 4096] == sound[:8 * 4096]
    assert is_silent(heard[3000 + 8 * 4096:40000]) and heard[40000:] == sound[8 * 4096:]
    # Two packets come twice.
    twice = movie.write_fragments(tmp_path / "d.mp4", [(0, 0, 8), (6 * 4096, 6, 20)])
    assert samples_of(twice) == sound
    # 20 hours in a file that announces 5 seconds.
    damaged = movie.write_fragments(tmp_path / "e.mp4", [(0, 0, 8), (RATE * 72000, 8, 20)])
    assert samples_of(damaged) == sound


def test_compact_sizes_are_read(make, tmp_path):
    path = make("small.m4a", "aac -b:a 64k", samples=30000)
    packets = packets_of(path)
    movie = Movie([entry_of(path)], packets, RATE)
    plain = samples_of(movie.write(tmp_path / "plain.m4a"))
    movie.compact_bits = 16
    assert samples_of(movie.write(tmp_path / "compact.m4a")) == plain
    movie.is_index_first = True
    assert samples_of(movie.write(tmp_path / "front.m4a")) == plain


def test_what_damaged_packets_lose_is_silence(lossless, tmp_path):
    entries, packets, sound = lossless
    packets = list(packets)
    packets[7] = Packet(b"\xff" * 100, 4096)
    packets[12] = Packet(b"", 4096)  # an empty packet is no end
    packets[19] = Packet(b"\xff" * 100, 4096)
    heard = samples_of(Movie(entries, packets, RATE).write(tmp_path / "damaged.m4a"))
    assert len(heard) == len(sound)
    for lost in (7, 12, 19):
        assert is_silent(heard[frames(lost)])
    for kept in (range(7), range(8, 12), range(13, 19)):
        assert heard[frames(*kept)] == sound[frames(*kept)]


def test_another_sample_entry_goes_on_with_another_decoder(lossless, make, tmp_path):
    entries, packets, sound = lossless
    other = make("other.m4a", "alac", rate=22050, channels="stereo", samples=4 * 4096)
    changed = [Packet(p.data, 2 * p.duration, 1) for p in packets_of(other)]
    path = Movie([*entries, entry_of(other)], [*packets[:6], *changed, *packets[6:]], RATE).write(
        tmp_path / "change.m4a")
    runs, heard, _ = probe(path)
    assert runs == [(RATE, 1, 6 * 4096), (22050, 2, 4 * 4096), (RATE, 1, 14 * 4096)]
    assert heard[:6 * 4096] == sound[:6 * 4096] and heard[-14 * 4096:] == sound[6 * 4096:]
    # The MP3 has the first format, and what stands behind the change is in its place.
    mp3 = tmp_path / "out.mp3"
    subprocess.run([BUILD / "unreel-media", "convert", path, mp3], check=True)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", mp3, "-f", "s16le", "-"],
                         check=True, capture_output=True).stdout
    assert len(raw) == 2 * 28 * 4096


@pytest.mark.parametrize("start,end", [(0, 1), (1, 1000), (333, 777), (1234, 0), (1857, 1858)])
def test_a_selection_is_exact_to_the_sample(lossless, tmp_path, start, end):
    entries, packets, sound = lossless
    for path in (Movie(entries, packets, RATE).write(tmp_path / "plain.m4a"),
                 Movie(entries, packets, RATE).write_fragments(tmp_path / "f.mp4", [(0, 0, 20)])):
        first = int(start * 44.1 + 0.5)
        last = int(end * 44.1 + 0.5) if end else len(sound)
        assert samples_of(path, start, end) == sound[first:last]


@pytest.mark.parametrize("name,codec,rate", [
    ("aac.m4a", "aac -aac_pns 0", 44100), ("opus48.mp4", "libopus", 48000),
    ("ac348.mp4", "ac3 -b:a 448k", 48000), ("mp364.mp4", "libmp3lame -b:a 64k", 44100)])
def test_a_selection_sounds_as_in_the_whole(make, name, codec, rate):
    path = make(name, codec, rate, "mono", 5 * rate)
    whole, part = samples_of(path), samples_of(path, 3001, 4002)
    first, last = int(3.001 * rate + 0.5), int(4.002 * rate + 0.5)
    assert len(part) == last - first
    # AC-3's decoder fills what was not coded with noise of its own.
    error = sum((a - b) ** 2 for a, b in zip(whole[first:last], part))
    assert error < 1e-4 * sum(a * a for a in part)


@pytest.mark.parametrize("selection", [(1858, 0), (9000, 10000), (700, 700), (700, 600)])
def test_a_selection_without_sound_says_so(lossless, tmp_path, selection):
    entries, packets, _ = lossless
    path = Movie(entries, packets, RATE).write(tmp_path / "plain.m4a")
    assert probe(path, *selection)[2] == "fail empty_selection"
    path = Movie(entries, packets, RATE).write_fragments(tmp_path / "f.mp4", [(0, 0, 20)])
    assert probe(path, *selection)[2] == "fail empty_selection"


def test_more_sound_than_its_time_is_damage(lossless, tmp_path):
    entries, packets, _ = lossless
    path = Movie(entries, [Packet(p.data, 1) for p in packets * 4], RATE).write(tmp_path / "a.m4a")
    assert probe(path)[2] == "fail not_media"


@pytest.mark.release_build
def test_six_hours_take_no_more_memory_than_a_minute(make, tmp_path):
    part = make("minute.m4a", "aac -b:a 32k", 16000, "mono", 60 * 16000)
    long, fragments = tmp_path / "long.m4a", tmp_path / "fragments.mp4"
    ffmpeg("-stream_loop", 359, "-i", part, "-c", "copy", long)
    ffmpeg("-i", long, "-c", "copy", "-movflags", "+frag_keyframe+delay_moov", "-frag_duration",
           "2000000", fragments)
    late = ("21500000", "21560000")
    script = ("import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,stdout=-3,"
              "stderr=-3);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    peak = [int(subprocess.run(["/usr/bin/python3", "-c", script, BUILD / "tests/support/source-probe",
                                path, *selection], check=True, capture_output=True, text=True).stdout)
            for path, selection in ((part, ()), (long, late), (fragments, late))]
    assert max(peak) - peak[0] < 2048
