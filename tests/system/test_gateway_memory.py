"""Nothing holds a whole file."""
import http.client

import pytest

from gateway_client import form
from service import peak_memory_kib

UPLOAD_BYTES = 1500 << 20


@pytest.mark.release_build
def test_a_large_upload_needs_little_memory(new_service):
    service = new_service().start()
    token = service.user("ann@example.org")
    body, content_type = form(("file", "large.mp4", b"@"))
    head, tail = body.split(b"@")
    piece = bytes(1 << 20)

    def pieces():
        yield head
        for _ in range(UPLOAD_BYTES // len(piece)):
            yield piece
        yield tail

    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=300)
    connection.request("POST", "/api/v1/conversions", pieces(), {
        "Content-Type": content_type, "Authorization": f"Bearer {token}",
        "Content-Length": str(len(head) + UPLOAD_BYTES + len(tail))})
    assert connection.getresponse().status == 201
    connection.close()
    assert peak_memory_kib(service.children("gateway")[0]) <= 32 << 10
