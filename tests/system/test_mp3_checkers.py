"""Our MP3s before independent checkers, mp3val and mp3check, and a strict decoder: they find nothing
to say."""
import subprocess
from pathlib import Path

import pytest

from media import ffmpeg
from service import BUILD

# The sanitizers look at the same encoder in tests/unit, and this takes a minute of them.
pytestmark = pytest.mark.release_build

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
PRESETS = ("best", "standard", "small", "voice", "cbr128", "cbr192", "cbr256", "cbr320")

# Silence, noise that swells, and a tone under clicks: quiet and loud frames, short and long blocks.
SOUND = "if(lt(mod(t,1),0.3),0,if(lt(mod(t,1),0.6),random({0})*(mod(t,1)-0.3),0.4*sin(2200*t)+0.5*lt(mod(t,0.05),0.0005)))"


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """make(rate, channels, seconds) -> a file with that sound as it is, made once."""
    folder = tmp_path_factory.mktemp("sound")

    def one(rate: int, channels: int, seconds: float) -> Path:
        path = folder / f"{rate}-{channels}-{seconds}.mov"
        if not path.exists():
            sides = "|".join(f"'{SOUND.format(side)}'" for side in range(channels))
            ffmpeg("-f", "lavfi", "-i", f"aevalsrc={sides}:s={rate}:d={seconds}",
                   "-metadata", "title=Größe", "-c:a", "pcm_s16le", path)
        return path

    return one


def mp3val(path: Path) -> list[str]:
    done = subprocess.run(["mp3val", path, "-si"], check=True, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if not line.startswith(("Analyzing", "Done"))]


def mp3check(path: Path, is_constant: bool) -> list[str]:
    """It takes an ID3v2 tag for junk, and VBR for a mistake unless it is told."""
    options = ["--error-check", "--ign-junk-start"] + ([] if is_constant else ["--ign-bitrate-sw"])
    done = subprocess.run(["mp3check", *options, path], capture_output=True, text=True)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line != f"{path}:"]
    return said + ([] if done.returncode == 0 else [f"status {done.returncode}"])


def decoder(path: Path) -> list[str]:
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "warning", "-xerror", "-err_detect", "explode",
                           "-i", path, "-f", "null", "-"], capture_output=True, text=True)
    return done.stderr.splitlines() + ([] if done.returncode == 0 else [f"status {done.returncode}"])


def complaints(path: Path, preset: str, rate: int) -> list[str]:
    """What is no statement of fact. mp3check does not know MPEG 2.5."""
    said = mp3val(path) + decoder(path)
    return said if rate < 16000 else said + mp3check(path, preset.startswith("cbr"))


def convert(source: Path, out: Path, preset: str) -> Path:
    done = subprocess.run([BUILD / "unreel-media", "convert", source, out, "--preset", preset],
                          capture_output=True, timeout=300, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("preset", PRESETS)
def test_checkers_find_nothing_at_any_rate(make, tmp_path, preset):
    found = {}
    for number, rate in enumerate(RATES):
        channels = 1 + (number + PRESETS.index(preset)) % 2
        mp3 = convert(make(rate, channels, 1.3), tmp_path / f"{rate}.mp3", preset)
        said = complaints(mp3, preset, rate)
        if said:
            found[rate] = said
    assert found == {}


@pytest.mark.parametrize("preset", ["standard", "voice", "cbr128"])
def test_checkers_find_nothing_in_a_long_file(make, tmp_path, preset):
    mp3 = convert(make(44100, 2, 100), tmp_path / "long.mp3", preset)
    assert complaints(mp3, preset, 44100) == []


def test_checkers_find_damage(make, tmp_path):
    """So that silence means something."""
    mp3 = convert(make(44100, 2, 1.3), tmp_path / "whole.mp3", "cbr128")
    whole = mp3.read_bytes()
    mp3.write_bytes(whole[:-300])
    assert mp3val(mp3) != [] and mp3check(mp3, is_constant=True) != []
    mp3.write_bytes(whole[:5000] + whole[5001:])
    assert mp3val(mp3) != [] and mp3check(mp3, is_constant=True) != [] and decoder(mp3) != []
