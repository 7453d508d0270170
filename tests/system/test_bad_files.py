"""Files that cannot become an MP3: a stable code, a sentence, a mail, never a stuck or looping job."""
import struct

import pytest

from media import ffmpeg, make_video
from service import wait_until


@pytest.fixture(scope="module")
def bad_files(media_dir) -> dict:
    """Name → (bytes, the codes that are right for it)."""
    faststart = make_video(media_dir / "front.mp4", 6).read_bytes()
    moov_last = media_dir / "last.mp4"
    ffmpeg("-i", media_dir / "front.mp4", "-c", "copy", moov_last)
    encrypted = media_dir / "encrypted.mp4"
    ffmpeg("-i", media_dir / "front.mp4", "-c", "copy", "-encryption_scheme", "cenc-aes-ctr",
           "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid",
           "a7e61c373e219033c21091fa607bf3b8", encrypted)
    silent = make_video(media_dir / "silent.mp4", 2, audio=False)
    matroska = media_dir / "film.mkv"
    ffmpeg("-i", media_dir / "front.mp4", "-c", "copy", matroska)
    return {
        "text named mp4": (b"This is no video at all.\n" * 50, {"not_media"}),
        "one byte": (b"x", {"not_media"}),
        "no audio track": (silent.read_bytes(), {"no_audio"}),
        "cut before moov": (moov_last.read_bytes()[:20000], {"truncated"}),
        "cut in the middle": (faststart[:len(faststart) * 2 // 3], {"truncated"}),
        "absurd box size": (struct.pack(">I4s", 24, b"ftyp") + b"isom\0\0\2\0isomiso2" +
                            struct.pack(">I4sQ", 1, b"moov", 1 << 62) + b"\0" * 4096,
                            {"truncated", "not_media"}),
        "box size of seven": (struct.pack(">I4s", 24, b"ftyp") + b"isom\0\0\2\0isomiso2" +
                              struct.pack(">I4s", 7, b"moov") + b"\0" * 4096,
                              {"truncated", "not_media"}),
        "encrypted": (encrypted.read_bytes(), {"encrypted"}),
        "matroska named mp4": (matroska.read_bytes(), {"not_media"}),
        "zeros": (b"\0" * 100000, {"not_media", "truncated"}),
    }


def test_each_bad_file_gets_its_code_and_one_mail(service, bad_files):
    token = service.user("dora@example.org")
    uploads = {}
    for name, (content, _) in bad_files.items():
        answer = service.upload(token, content, f"{name}.mp4")
        assert answer.status == 201, (name, answer.body)
        uploads[name] = answer.json["id"]
    for name, identifier in uploads.items():
        failed = service.wait_for(token, identifier, "failed")
        assert failed["error"]["code"] in bad_files[name][1], (name, failed["error"])
        assert failed["error"]["detail"].endswith(".") and failed["audio"] is None
        mails = wait_until(lambda i=identifier: service.mails(i), what=f"the mail about {name}")
        assert len(mails) == 1
        audio = service.request("GET", f"/api/v1/conversions/{identifier}/audio", token=token)
        assert (audio.status, audio.code) == (409, failed["error"]["code"])


def test_twenty_poison_files_do_not_hold_up_a_good_one(service, bad_files, video):
    poison = service.user("eve@example.org")
    good = service.user("fred@example.org")
    pids = service.children()
    contents = [content for content, _ in bad_files.values()]
    uploads = [service.upload(poison, contents[i % len(contents)]).json["id"] for i in range(20)]
    identifier = service.upload(good, video).json["id"]
    service.wait_for(good, identifier, "ready", 60)
    for each in uploads:
        service.wait_for(poison, each, "failed", 60)
    assert service.children() == pids, "a role has crashed"


def test_an_empty_file_is_refused_at_once(service):
    token = service.user("gus@example.org")
    answer = service.upload(token, b"")
    assert (answer.status, answer.code) == (400, "empty_file")


@pytest.mark.parametrize("filename,wanted", [
    ("Grüße ✓ 日本.mp4", "Grüße ✓ 日本.mp4"),
    ("../../etc/passwd.mp4", "passwd.mp4"),
    ("C:\\\\Users\\\\me\\\\film.mp4", "film.mp4"),
])
def test_names_are_kept_but_never_a_path(service, video, filename, wanted):
    token = service.user("hana@example.org")
    answer = service.upload(token, video, filename)
    assert answer.json["name"] == wanted


def test_a_name_of_ten_thousand_characters_is_cut(service, video):
    token = service.user("ida@example.org")
    answer = service.upload(token, video, "ü" * 9996 + ".mp4")
    assert answer.status in (201, 400)
    if answer.status == 201:
        assert 0 < len(answer.json["name"].encode()) < 256
        service.wait_for(token, answer.json["id"], "ready")


def test_line_breaks_in_a_name_stay_out_of_the_mail(service, video):
    token = service.user("jo@example.org")
    answer = service.upload(token, video, "a%0D%0ABcc: victim@example.org%0D%0A.mp4")
    identifier = answer.json["id"]
    service.wait_for(token, identifier, "ready")
    mail = wait_until(lambda: service.mails(identifier), what="the mail")[0]
    assert not any(line.startswith("Bcc:") for line in mail.split("\n"))
