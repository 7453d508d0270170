"""What can be chosen for one MP3, by the media engine itself: what ffmpeg says of the result."""
import array
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from media import ffmpeg, long_noise
from service import BUILD, children_of, is_zombie, wait_until


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([BUILD / "unreel-media", *map(str, arguments)], capture_output=True,
                          timeout=120, text=True)


def convert(path: Path, *options, said: str = "") -> Path:
    """`said`: what stands behind the file's name on standard error."""
    out = path.with_suffix(".mp3")
    done = run("convert", path, out, "--force", *options)
    assert done.returncode == 0
    assert re.fullmatch(f"unreel: {path}: {said}\n" if said else "", done.stderr), done.stderr
    return out


def decoded(path: Path, rate: int, channels: int) -> bytes:
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:a:0", "-ar",
                           str(rate), "-ac", str(channels), "-f", "s16le", "-"],
                          check=True, capture_output=True).stdout


def channels(path: Path) -> str:
    return subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=channels", "-of",
                           "csv=p=0", path], check=True, capture_output=True,
                          text=True).stdout.strip()


def loudness(path: Path) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP, as ffmpeg measures them."""
    text = subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-i", path, "-af",
                           "ebur128=peak=true", "-f", "null", "-"], check=True,
                          capture_output=True, text=True).stderr
    summary = text[text.rindex("Summary:"):]
    return (float(re.search(r"I: +(-?[\d.]+) LUFS", summary)[1]),
            float(re.search(r"Peak: +(-?[\d.]+|-inf) dBFS", summary)[1]))


# ---- part of the sound ----

@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """Eight seconds in which no two moments are alike, without loss."""
    path = tmp_path_factory.mktemp("speech") / "speech.m4a"
    ffmpeg("-f", "lavfi", "-i", "aevalsrc='0.4*sin(2*PI*t*(200+40*t))*(0.6+0.4*sin(9*t*t))':"
           "s=44100:d=8", "-ac", "2", "-c:a", "alac", path)
    return path


@pytest.mark.parametrize("options, start, end", [
    (("--start", "1.25"), 55125, 352800),
    (("--end", "0:06.5"), 0, 286650),
    (("--start", "2", "--end", "3"), 88200, 132300),
    (("--start", "0:00:01.25", "--end", "7.5", "--mono"), 55125, 330750),
    (("--end", "60"), 0, 352800),
])
def test_a_cut_is_exact_to_the_sample(speech, options, start, end):
    mp3 = convert(speech, *options)
    whole = array.array("h", decoded(speech, 44100, 1))
    cut = array.array("h", decoded(mp3, 44100, 1))
    assert len(cut) == end - start
    middle = range(len(cut) // 2, len(cut) // 2 + 4000)
    part = [cut[i] for i in middle]
    best = max(range(-20, 21), key=lambda lag: sum(
        a * b for a, b in zip(part, whole[start + middle.start + lag:start + middle.stop + lag])))
    assert best == 0


def test_a_start_behind_the_end_is_told(speech):
    done = run("convert", speech, "--start", "9", speech.with_suffix(".none.mp3"))
    assert done.returncode == 1
    assert done.stderr == f"unreel: {speech}: There is no sound in the part that was chosen.\n"
    assert not list(speech.parent.glob("*.none.mp3*"))


# ---- tracks ----

@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=f=440:r=44100:d=3", "-f", "lavfi", "-i",
           "sine=f=1000:r=44100:d=3", "-map", "0", "-map", "1", "-c:a", "aac",
           "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", path)
    return path


@pytest.mark.parametrize("track, hz", [("1", 440), ("2", 1000), ("deu", 1000), ("de", 1000),
                                       ("GER", 1000), ("en", 440), (None, 440)])
def test_a_track_is_chosen_by_number_or_language(film, track, hz):
    mp3 = convert(film, *(["--track", track] if track else []))
    samples = array.array("h", decoded(mp3, 44100, 1))[44100:88200]
    assert sum(a < 0 <= b for a, b in zip(samples, samples[1:])) == pytest.approx(hz, abs=3)


@pytest.mark.parametrize("track", ["3", "fra"])
def test_a_track_that_is_not_there_is_told_with_those_that_are(film, track):
    done = run("convert", film, film.with_suffix(".none.mp3"), "--track", track)
    assert done.returncode == 1
    assert "deu" in done.stderr and "eng" in done.stderr and f'"{track}"' in done.stderr


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_mono_is_one_channel(tmp_path, layout):
    assert channels(convert(tones(tmp_path / "source.m4a", -10, layout), "--mono")) == "1"


# ---- loudness ----

def tones(path: Path, volume_db: float, layout: str = "stereo") -> Path:
    """Six seconds that swell and fade, with peaks not far above their loudness."""
    ffmpeg("-f", "lavfi", "-i", "aevalsrc='(0.6+0.4*sin(PI*t))*(0.3*sin(800*PI*t)"
           "+0.2*sin(2600*PI*t))':s=48000:d=6", "-af",
           f"aformat=channel_layouts={layout},volume={volume_db}dB", "-c:a", "alac", path)
    return path


@pytest.mark.parametrize("before, layout", [(-23, "stereo"), (-9, "stereo"), (-40, "mono"),
                                            (-23, "5.1")])
def test_any_loudness_becomes_the_chosen_one(tmp_path, before, layout):
    plain = tones(tmp_path / "plain.m4a", -20, layout)
    source = tones(tmp_path / "source.m4a", before - loudness(plain)[0] - 20, layout)
    assert loudness(source)[0] == pytest.approx(before, abs=0.2)
    lufs, peak = loudness(convert(source, "--loudness", "-16"))
    assert lufs == pytest.approx(-16, abs=0.3)
    assert peak < 0


def test_the_loudness_is_that_of_the_mono_mp3_and_of_its_part(tmp_path):
    # The second half is 20 dB louder; one channel for two alike measures 3 LU less.
    source = tmp_path / "source.m4a"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=8:r=44100:a=0.02:c=pink:seed=3", "-af",
           "pan=stereo|c0=c0|c1=c0,volume='if(lt(t,4),1,10)':eval=frame", "-c:a", "alac", source)
    lufs, _ = loudness(convert(source, "--loudness", "-20", "--end", "3.5", "--mono"))
    assert lufs == pytest.approx(-20, abs=0.3)


def test_peaks_limit_the_gain_and_nothing_is_compressed(tmp_path):
    source = tmp_path / "source.m4a"
    ffmpeg("-f", "lavfi", "-i", "aevalsrc='0.01*sin(2*PI*400*t)+if(lt(mod(t,2),0.002),"
           "0.7*sin(2*PI*1000*t),0)':s=48000:d=6", "-ac", "2", "-c:a", "alac", source)
    before, peak_before = loudness(source)
    after, peak_after = loudness(convert(
        source, "--loudness", "-16", "--preset", "cbr320",
        said=r"its peaks allow no more than -\d\d\.\d LUFS"))
    assert after < -20
    assert peak_after == pytest.approx(-1, abs=0.5)
    assert after - before == pytest.approx(peak_after - peak_before, abs=0.5)


@pytest.mark.parametrize("source", ["anullsrc=d=3:r=44100", "sine=d=0.2:r=44100"])
def test_where_no_loudness_can_be_measured_nothing_is_changed(tmp_path, source):
    path = tmp_path / "source.m4a"
    ffmpeg("-f", "lavfi", "-i", source, "-ac", "2", "-c:a", "alac", path)
    plain = convert(path).read_bytes()
    said = "no loudness can be measured in this; left as it is"
    assert convert(path, "--loudness", "-16", said=said).read_bytes() == plain
    assert convert(path, "--loudness", "-16", "--quiet").read_bytes() == plain


def test_the_child_reports_what_it_measured(tmp_path):
    source = tones(tmp_path / "source.m4a", -10)
    lufs, _ = loudness(source)
    with open(source, "rb") as stdin, open(tmp_path / "out.mp3", "w+b") as stdout:
        done = subprocess.run([BUILD / "unreel-media", "child", "--loudness=-30"], stdin=stdin,
                              stdout=stdout, stderr=subprocess.PIPE, timeout=120, text=True)
    last = done.stderr.splitlines()[-1]
    words = dict(word.split("=") for word in last.split()[1:])
    assert int(words["loudness_centi_lufs"]) == pytest.approx(lufs * 100, abs=15)
    assert int(words["gain_centi_db"]) == pytest.approx(-3000 - lufs * 100, abs=15)
    progress = [int(line.split()[1]) for line in done.stderr.splitlines()[1:-1]]
    assert progress == sorted(progress)


# ---- the command and its child ----

@pytest.fixture
def going_on(tmp_path):
    """A conversion that has begun, and its child; its output stands in a folder of its own."""
    source = long_noise(tmp_path / "long.m4a", 3600)
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        [BUILD / "unreel-media", "convert", source, folder / "a.mp3", "--loudness", "-16"],
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: children_of(process.pid) and list(folder.iterdir()), what="the child")
    yield process, children_of(process.pid)[0], folder
    process.kill()
    process.wait()


def test_an_interrupted_command_leaves_nothing_behind(going_on):
    process, child, folder = going_on
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and said.endswith("The conversion was stopped.\n")
    assert list(folder.iterdir()) == []
    assert not Path(f"/proc/{child}").exists()


def test_a_file_size_limit_is_no_fault_of_the_file(speech, tmp_path):
    done = subprocess.run(
        ["prlimit", "--fsize=20000", BUILD / "unreel-media", "convert", speech, tmp_path / "a.mp3"],
        stderr=subprocess.PIPE, timeout=120, text=True)
    assert done.returncode == 1 and done.stderr.endswith(": File too large\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_dies_is_a_failure_of_the_file(going_on):
    process, child, folder = going_on
    os.kill(child, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.endswith("This file is damaged in a way that makes the decoder fail.\n")
    assert list(folder.iterdir()) == []


def test_a_child_does_not_outlive_its_command(going_on):
    process, child, _ = going_on
    process.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists() or is_zombie(child),
               what="the child's end")


def handles(pid: int, number: int) -> bool:
    mask, = re.findall(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("command", [["convert", "-"], ["probe", "-"], ["convert", "{pipe}"]])
def test_waiting_for_input_can_be_interrupted(tmp_path, command):
    """Standard input that stays silent, and a named pipe that nobody opens."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [word.format(pipe=pipe) for word in command]
    with subprocess.Popen([BUILD / "unreel-media", *words], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: handles(process.pid, signal.SIGINT), what="the program")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 1
        finally:
            process.kill()
        assert process.stderr.read().endswith(": stopped\n")
    assert list(tmp_path.iterdir()) == [pipe]
