"""The main job as a user does it: a video goes in, a mail comes, an MP3 goes out."""
import email
import email.policy
import re
import subprocess
from pathlib import Path

from media import ffmpeg, probe
from service import PASSWORD, wait_until


def decode(path: Path, rate: int = 8000) -> list[int]:
    """Mono samples of the file."""
    raw = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "s16le", "-ac", "1",
                          "-ar", str(rate), "-"], check=True, capture_output=True).stdout
    return memoryview(raw[:len(raw) // 2 * 2]).cast("h").tolist()


def correlation(left: list[int], right: list[int]) -> float:
    count = min(len(left), len(right))
    product = sum(a * b for a, b in zip(left, right))
    energy = (sum(a * a for a in left[:count]) * sum(b * b for b in right[:count])) ** 0.5
    return product / energy


def test_a_video_becomes_an_mp3_and_a_mail_says_so(service, video, tmp_path):
    token = service.user("anna@example.org")
    answer = service.upload(token, video, "Urlaub am Meer.mp4")
    assert answer.status == 201
    conversion = answer.json
    assert answer.headers["Location"] == f"/api/v1/conversions/{conversion['id']}"
    assert conversion["name"] == "Urlaub am Meer.mp4"
    assert conversion["preset"] == "standard"
    ready = service.wait_for(token, conversion["id"], "ready")
    assert ready["progress"] == 1 and ready["error"] is None

    mails = wait_until(lambda: service.mails(conversion["id"]), what="the mail")
    assert len(mails) == 1
    mail = email.message_from_string(mails[0], policy=email.policy.default)
    text = mail.get_content()
    assert mail["To"] == "anna@example.org"
    assert "Urlaub am Meer.mp4" in text and conversion["id"] in text
    link = re.search(r"https?://\S+/d/\S+", text)[0]
    assert link.startswith(service.url)
    by_link = service.request("GET", link.removeprefix(service.url))
    assert by_link.status == 200

    audio = service.request("GET", f"/api/v1/conversions/{conversion['id']}/audio", token=token)
    assert audio.status == 200
    assert audio.headers["Content-Type"] == "audio/mpeg"
    assert "Urlaub am Meer.mp3" in audio.headers["Content-Disposition"]
    assert audio.body == by_link.body
    assert len(audio.body) == ready["audio"]["bytes"]
    mp3 = tmp_path / "audio.mp3"
    mp3.write_bytes(audio.body)
    about = probe(mp3, "format=duration,format_name:stream=codec_name,channels,sample_rate")
    assert about["codec_name"] == "mp3"
    assert (about["channels"], about["sample_rate"]) == ("2", "44100")
    # ffprobe counts whole frames; what a player hears is exact.
    assert abs(float(about["duration"]) - 3) < 0.06
    source, result = decode(video, 44100), decode(mp3, 44100)
    assert len(result) == 3 * 44100
    assert ready["audio"]["duration_ms"] == 3000
    assert correlation(source, result) > 0.99
    wait_until(lambda: service.conversion(token, conversion["id"])["mail"]["state"] == "sent",
               what="the letter's state")


def curl(*arguments) -> tuple[str, str]:
    """Body and status."""
    output = subprocess.run(["curl", "-s", "-w", "\n%{http_code}", *map(str, arguments)], check=True,
                            capture_output=True, text=True).stdout
    body, status = output.rsplit("\n", 1)
    return body, status


def test_the_predecessors_four_commands_work(service, video, tmp_path):
    credentials = f"georgio@example.com:{PASSWORD}"
    _, status = curl("-X", "POST", f"{service.url}/register", "-u", credentials)
    assert status == "200"
    token, status = curl("-X", "POST", f"{service.url}/login", "-u", credentials)
    assert status == "200" and token.count(".") == 2
    body, status = curl("-X", "POST", "-F", f"anything=@{video}", "-H",
                        f"Authorization: Bearer {token}", f"{service.url}/upload")
    assert status == "200"
    identifier = re.search(r'"id":\s*"([0-9A-Z]{26})"', body)[1]
    service.wait_for(token, identifier, "ready")
    mp3 = tmp_path / "mp3_download.mp3"
    _, status = curl("--output", mp3, "-X", "GET", "-H", f"Authorization: Bearer {token}",
                     f"{service.url}/download?fid={identifier}")
    assert status == "200"
    assert probe(mp3)["format_name"] == "mp3"


def test_m4a_and_mov_convert_too(service, media_dir):
    token = service.user("ben@example.org")
    for name, codec in (("sound.m4a", "aac"), ("clip.mov", "pcm_s16le")):
        path = media_dir / name
        ffmpeg("-f", "lavfi", "-i", "sine=f=440:d=2", "-c:a", codec, path)
        identifier = service.upload(token, path, name).json["id"]
        assert service.wait_for(token, identifier, "ready")["audio"]["duration_ms"] == 2000


def test_a_preset_is_kept(service, video):
    token = service.user("cleo@example.org")
    answer = service.upload(token, video, fields={"preset": "cbr128"})
    assert answer.json["preset"] == "cbr128"
    ready = service.wait_for(token, answer.json["id"], "ready")
    assert abs(ready["audio"]["bytes"] * 8 / ready["audio"]["duration_ms"] - 128) < 6
