"""What can be chosen in the form of an upload: what is refused, kept, and heard in the MP3."""
import subprocess
import uuid
from pathlib import Path

import pytest

from gateway_client import form, jobs_query, send_form
from media import ffmpeg, probe


@pytest.fixture
def token(service) -> str:
    return service.user(f"{uuid.uuid4().hex}@example.org")


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Six seconds: 440 Hz in English, 1,000 Hz in German, both on two channels and quiet."""
    path = tmp_path_factory.mktemp("choices") / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=f=440:r=44100:d=6", "-f", "lavfi", "-i",
           "sine=f=1000:r=44100:d=6", "-map", "0", "-map", "1", "-ac", "2", "-c:a", "aac",
           "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", path)
    return path


@pytest.mark.parametrize("name, value, right", [
    ("track", "german", "a language such as deu"),
    ("track", "0", "from 1"),
    ("mono", "yes", "true or false"),
    ("start", "1e9", "83.5"),
    ("start", "-1", "1:23.5"),
    ("end", "0", "after 0"),
    ("loudness", "-16 LUFS", "-70 to -5"),
    ("loudness", "5", "-70 to -5"),
    ("mono", "true\0", "true or false"),
])
def test_a_wrong_value_is_refused_with_its_field_and_what_is_right(service, token, name, value,
                                                                   right):
    answer = send_form(service, token, *form(("file", "a.mp4", b"x"), (name, None, value.encode())))
    assert (answer.status, answer.code) == (400, "invalid_option")
    assert answer.json["detail"].startswith(name + " is ") and right in answer.json["detail"]
    assert service.request("GET", "/api/v1/conversions", token=token).json["items"] == []


@pytest.mark.parametrize("path", ["/api/v1/conversions", "/upload"])
def test_an_end_before_the_start_is_refused(service, token, path):
    body = form(("end", None, b"9"), ("file", "a.mp4", b"x"), ("start", None, b"0:10"))
    answer = send_form(service, token, *body, path=path)
    assert (answer.status, answer.code) == (400, "invalid_option")
    assert answer.json["detail"] == "end must be later than start."


def test_choices_are_answered_in_canonical_form_and_empty_fields_are_none(service, token):
    answer = service.upload(token, b"x", fields={
        "preset": "", "track": "DEU", "mono": "true", "start": "0:01:23.50", "end": "90.0",
        "loudness": "-16.0", "title": ""})
    assert answer.status == 201
    assert answer.json["preset"] == "standard"
    assert answer.json["options"] == {"preset": "standard", "track": "deu", "mono": "true",
                                      "start": "83.5", "end": "90", "loudness": "-16"}
    listed = service.request("GET", "/api/v1/conversions", token=token).json["items"][0]
    assert listed["options"] == answer.json["options"]


def test_the_mp3_is_what_was_chosen(service, token, film, tmp_path):
    identifier = service.upload(token, film, fields={
        "track": "deu", "mono": "true", "start": "1.5", "end": "5", "loudness": "-20"}).json["id"]
    ready = service.wait_for(token, identifier, "ready")
    assert ready["audio"]["duration_ms"] == 3500
    mp3 = tmp_path / "out.mp3"
    mp3.write_bytes(service.request("GET", f"/api/v1/conversions/{identifier}/audio",
                                    token=token).body)
    assert probe(mp3, "stream=channels")["channels"] == "1"
    assert tone_of(mp3) == 1000
    assert abs(loudness_of(mp3) + 20) <= 0.3


def test_the_same_key_means_the_first_request_whatever_it_chooses(service, token):
    body, other = (form(("file", "a.mp4", b"x"), ("start", None, start)) for start in (b"1", b"2"))
    first, second = (send_form(service, token, *one, headers={"Idempotency-Key": "k"})
                     for one in (body, other))
    assert (first.status, second.status) == (201, 201)
    assert second.json["id"] == first.json["id"]
    assert second.json["options"] == {"preset": "standard", "start": "1"}


def test_a_track_that_is_not_there_fails_with_its_code(service, token, film):
    identifier = service.upload(token, film, fields={"track": "fra"}).json["id"]
    assert service.wait_for(token, identifier, "failed")["error"]["code"] == "no_such_track"


def test_a_retry_keeps_the_options_and_what_is_not_understood_fails_clearly(service, token):
    answer = service.upload(token, b"no video", fields={"start": "5", "mono": "true"})
    identifier = answer.json["id"]
    service.wait_for(token, identifier, "failed")
    again = service.request("POST", f"/api/v1/conversions/{identifier}/retry", token=token)
    assert again.json["options"] == answer.json["options"]
    assert service.wait_for(token, identifier, "failed")["error"]["code"] == "not_media"
    jobs_query(service, "UPDATE conversion SET options=? WHERE id=?", '{"karaoke":"true"}',
               identifier)
    service.request("POST", f"/api/v1/conversions/{identifier}/retry", token=token)
    failed = service.wait_for(token, identifier, "failed")
    assert failed["error"]["code"] == "unknown_options"


def tone_of(path: Path) -> int:
    """The frequency of a pure tone, by how often it passes zero."""
    raw = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-ss", "1", "-t", "1",
                          "-ac", "1", "-ar", "44100", "-f", "s16le", "-"], check=True,
                         capture_output=True).stdout
    samples = memoryview(raw).cast("h")
    return round(sum(a < 0 <= b for a, b in zip(samples, samples[1:])) / 10) * 10


def loudness_of(path: Path) -> float:
    text = subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-i", path, "-af",
                           "ebur128", "-f", "null", "-"], check=True, capture_output=True,
                          text=True).stderr
    return float(text[text.rindex("I:") + 2:].split()[0])
