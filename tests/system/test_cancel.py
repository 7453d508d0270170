"""Deleting a conversion that runs stops its child and leaves nothing."""
from media import long_noise
from oracle import media_children
from service import wait_until


def test_deleting_a_running_conversion_stops_it(new_service, media_dir):
    sound = long_noise(media_dir / "noise.m4a", 3600)
    service = new_service(settings={"UNREEL_COLLECT_INTERVAL": "1s"}).start()
    token = service.user("anna@example.org")
    identifier = service.upload(token, sound).json["id"]
    service.wait_for(token, identifier, "converting")
    wait_until(lambda: media_children(service), what="the media child")
    path = f"/api/v1/conversions/{identifier}"
    assert service.request("DELETE", path, token=token).status == 204
    assert service.request("GET", path, token=token).status == 404
    # The keeper renews every 15 s and learns then that the row is somebody else's.
    wait_until(lambda: not media_children(service), 25, what="the media child to be stopped")
    wait_until(lambda: not service.blobs.keys(), 30, what="video and MP3 to go")
    assert "msg=converted" not in service.log()
    assert service.mails(identifier) == []
