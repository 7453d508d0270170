"""A full disk: 507 with a sentence, nothing half-stored, and everything goes on when there is room."""
import os
import subprocess

import pytest

from service import wait_until


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 80 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "unreel-test",
                                            folder], capture_output=True).returncode != 0:
        pytest.skip("needs root and the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.one_machine
def test_a_full_disk_is_507_and_heals(new_service, small_disk, video):
    service = new_service()
    service.data = small_disk / "data"
    service.settings = {"UNREEL_COLLECT_INTERVAL": "1s"}
    service.start()
    token = service.user("anna@example.org")
    try:
        too_big = service.upload(token, b"\0" * (100 << 20))
        assert (too_big.status, too_big.code) == (507, "no_space")

        # Announced as small, so the disk is found full only while it is written.
        filler = small_disk / "filler"
        free = os.statvfs(small_disk)
        filler.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - (1 << 20)))
        answer = service.upload(token, b"\0" * (4 << 20))
        assert answer.status == 507
        assert service.request("GET", "/api/v1/conversions", token=token).status == 200
        filler.unlink()
        wait_until(lambda: not any((small_disk / "data/blobs/incoming").iterdir()), 30,
                   what="the half upload to be removed")
        identifier = service.upload(token, video).json["id"]
        service.wait_for(token, identifier, "ready")
    finally:
        service.stop()
