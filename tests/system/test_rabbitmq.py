"""The queue on a real RabbitMQ to which everything happens that happens to brokers."""
import itertools
import shutil
import time

import pytest

from broker import (HOST, Probe, SwallowingProxy, TlsRabbitMQ, VirtualHost, control, free_port,
                    identifier, needs_rabbitmq)
from service import wait_until

names = (f"test{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    needs_rabbitmq()
    with TlsRabbitMQ(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def vhost(broker):
    made = VirtualHost(broker.node, next(names))
    yield made
    broker.drop_vhost(made.name)


@pytest.fixture
def probe():
    """A function that opens handles, which all end well."""
    opened = []

    def open_probe(url: str, topic: str | None = None) -> Probe:
        opened.append(Probe(url, topic))
        return opened[-1]

    yield open_probe
    assert [each.end() for each in opened] == [0] * len(opened)


@pytest.fixture(scope="module", autouse=True)
def unconfirmed(broker):
    """A handle whose confirms are lost from the start; the last test sees what became of it."""
    vhost = VirtualHost(broker.node, "unconfirmed")
    proxy = SwallowingProxy(broker.port)
    publisher = Probe(vhost.url(f"{HOST}:{proxy.port}"))
    assert publisher.publish(0).word == "ok"
    proxy.swallows = True
    yield publisher, proxy
    assert publisher.end() == 0
    proxy.close()


def test_a_confirm_that_is_swallowed_costs_two_seconds_once(unconfirmed):
    publisher, proxy = unconfirmed
    said = publisher.publish(1)
    assert said.word == "error" and "has not confirmed" in said.text and said.ms < 30000
    again = [publisher.publish(number) for number in range(2, 22)]
    assert {each.word for each in again} == {"error"}
    assert sum(each.ms for each in again) < 20 * 1000
    assert proxy.accepted == 1
    proxy.swallows = False


def test_a_broker_that_answers_slowly_gets_two_seconds_for_all_its_answers(vhost, probe):
    proxy = SwallowingProxy(vhost.node.port)
    try:
        publisher = probe(vhost.url(f"{HOST}:{proxy.port}"))
        assert publisher.until("pump").word == "ok"
        proxy.delay_s, frames = 1.2, proxy.frames
        # Four answers make the queues: the second is too late.
        assert publisher.publish(1).word == "error"
        assert proxy.frames - frames <= 2
    finally:
        proxy.delay_s = 0
        proxy.close()


@pytest.mark.parametrize("user, hosts, text", [
    ("guest:not-the-one", None, "the user or the password is not accepted"),
    ("nobody:guest", None, "the user or the password is not accepted"),
    ("guest:guest", "no.such.host.invalid", "hostname lookup failed"),
    ("guest:guest", f"{HOST}:9", "it takes no connection"),
])
def test_what_is_wrong_is_said_without_the_password(vhost, probe, user, hosts, text):
    handle = probe(vhost.url(hosts, user), "video")
    for said in (handle.ask("pump"), handle.ask("receive", 0), handle.publish(1)):
        assert said.word == "error" and said.text.endswith(text)
        assert "not-the-one" not in said.text


def test_a_virtual_host_that_is_missing_is_named(broker, probe):
    said = probe(f"amqp://guest:guest@{HOST}:{broker.port}/nowhere").ask("pump")
    assert said.word == "error" and "there is no virtual host 'nowhere'" in said.text


def test_a_host_that_is_dead_is_passed_over(vhost, probe):
    hosts = f"{HOST}:{free_port()},{HOST}:{vhost.node.port},{HOST}:{free_port()}"
    for _ in range(3):
        assert probe(vhost.url(hosts)).publish(1).word == "ok"


@pytest.mark.parametrize("host, authority, text", [
    ("localhost", "authority", None),
    ("localhost", "stranger", "not to be trusted"),
    ("localhost", None, "not to be trusted"),
    (HOST, "authority", "not for this name"),
])
def test_tls_verifies_certificate_and_name(broker, probe, host, authority, text):
    node = broker.node
    url = f"amqps://guest:guest@{host}:{node.tls_port}/"
    if authority:
        url += f"?tls-ca={getattr(node, authority)}"
    handle = probe(url, "video")
    if text is None:
        assert handle.publish(1).word == "ok"
        handle.receives(1)
    else:
        said = handle.ask("pump")
        assert said.word == "error" and text in said.text


def test_all_queues_are_quorum_queues_with_limits(vhost, probe):
    handle = probe(vhost.url(), "video")
    assert handle.publish(1).word == "ok"
    assert handle.publish(2, "mp3").word == "ok"
    for name in ("video", "mp3"):
        assert vhost.queue(name)["type"] == "quorum" and vhost.queue(name)["durable"]
        assert vhost.queue(name)["arguments"] == {
            "x-queue-type": "quorum", "x-delivery-limit": 6, "x-max-length": 10000,
            "x-overflow": "reject-publish", "x-dead-letter-exchange": "hints.dead",
            "x-dead-letter-strategy": "at-least-once"}
    assert vhost.queue("hints.dead")["arguments"] == {
        "x-queue-type": "quorum", "x-max-length": 10000, "x-overflow": "drop-head",
        "x-message-ttl": 7 * 24 * 3600 * 1000}
    message, = vhost.take("mp3")
    assert message["payload"] == identifier(2) == message["properties"]["message_id"]
    assert message["properties"]["delivery_mode"] == 2
    assert message["properties"]["content_type"] == "text/plain"
    assert abs(message["properties"]["timestamp"] - time.time()) < 3600


def test_queues_that_are_purged_or_deleted_are_made_anew(vhost, probe):
    consumer, publisher = probe(vhost.url(), "video"), probe(vhost.url())
    assert publisher.publish(1).word == "ok"
    consumer.receives(1)
    assert consumer.ask("receive", 0).word == "nothing"
    assert publisher.publish(2).word == "ok"
    vhost.manage("DELETE", "queues", "/video/contents")
    vhost.manage("DELETE", "queues", "/video")
    assert publisher.publish(3).word == "ok"  # comes back as unroutable, so it is declared again
    consumer.receives(3)
    vhost.manage("DELETE", "queues", "/video")
    consumer.until("receive", 100, word="error")  # its consumer was cancelled
    consumer.until("receive", 100, word="nothing")
    assert publisher.publish(4).word == "ok"
    consumer.receives(4)


def test_a_connection_that_is_closed_comes_back_and_old_receipts_do_no_harm(vhost, probe):
    consumer, publisher = probe(vhost.url(), "video"), probe(vhost.url())
    assert publisher.publish(1).word == "ok"
    assert consumer.ask("receive", 10000).text == identifier(1)
    vhost.close_connections()
    consumer.until("pump", word="error")
    consumer.until("pump")
    assert consumer.ask("ack").word == "ok"
    assert consumer.ask("reject").word == "ok"
    consumer.receives(1)  # not acknowledged, so it comes again
    assert publisher.publish(2).word == "ok"
    consumer.receives(2)


def test_what_is_no_id_goes_to_the_dead_letters(vhost, probe):
    consumer = probe(vhost.url(), "video")
    wrong = ["", "nonsense", identifier(1) + "0", identifier(1).lower(), "x" * 3_000_000]
    assert consumer.ask("receive", 0).word == "nothing"
    for payload in wrong:
        vhost.put("video", payload)
        assert consumer.until("receive", 1000, word="hint").text == ""
        assert consumer.ask("reject").word == "ok"
    vhost.put("video", identifier(2), {"headers": {"x": "y" * 5000}})
    consumer.receives(2)
    dead = []
    wait_until(lambda: dead.extend(vhost.take("hints.dead")) or len(dead) == len(wrong),
               what="the dead letters")
    assert sorted(each["payload_bytes"] for each in dead) == sorted(len(each) for each in wrong)
    assert {each["properties"]["headers"]["x-first-death-reason"] for each in dead} == {"rejected"}


def test_a_hint_that_kills_its_consumers_is_put_aside(vhost, probe):
    publisher = probe(vhost.url())
    assert publisher.publish(1).word == "ok"
    for _ in range(7):
        consumer = Probe(vhost.url(), "video")
        assert consumer.until("receive", 5000, word="hint").text == identifier(1)
        consumer.process.kill()
        assert consumer.end() != 0
    dead, = wait_until(lambda: vhost.take("hints.dead"), what="the dead letter")
    assert dead["properties"]["headers"]["x-first-death-reason"] == "delivery_limit"


def test_a_full_queue_refuses(vhost, probe):
    vhost.manage("PUT", "policies", "/small", {
        "pattern": "^video$", "definition": {"max-length": 5}, "apply-to": "queues"})
    publisher = probe(vhost.url())
    refused = publisher.until("publish", "video", identifier(1), word="error")
    assert "the queue 'video' is full" in refused.text
    assert publisher.publish(2, "mp3").word == "ok"
    # A channel can be refused for good where the queue is not full: it is given up after a while.
    wait_until(lambda: "refuses all hints" in publisher.publish(1).text, what="a new connection")
    vhost.manage("DELETE", "queues", "/video/contents")
    publisher.until("publish", "video", identifier(3))


def test_a_queue_with_other_properties_is_left_alone(vhost, probe):
    vhost.manage("PUT", "queues", "/video", {"durable": True, "arguments": {}})
    handle = probe(vhost.url(), "video")
    for _ in range(20):
        said = handle.ask("receive", 0)
        assert said.word == "error"
        assert "the queue 'video' exists with other properties than Unreel's; delete it" in said.text
    assert vhost.queue("video")["type"] == "classic"
    vhost.manage("DELETE", "queues", "/video")
    handle.until("publish", "video", identifier(1))
    handle.receives(1)


def test_a_broker_short_of_memory_is_not_waited_for(vhost, probe):
    publisher = probe(vhost.url())
    assert publisher.publish(1).word == "ok"
    control(vhost.node, "set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        said = publisher.until("publish", "video", identifier(2), word="error")
        assert "short of memory or disk" in said.text and said.ms < 1900
        again = [publisher.publish(3) for _ in range(20)]
        assert {each.word for each in again} == {"error"}
        assert sum(each.ms for each in again) < 20 * 1000
    finally:
        control(vhost.node, "set_vm_memory_high_watermark", "0.4")
    publisher.until("publish", "video", identifier(4))
    probe(vhost.url(), "video").receives(4)


def test_memory_does_not_grow_with_messages(vhost, probe):
    handle = probe(vhost.url(), "video")
    first, second = handle.ask("flood", "video", 300), handle.ask("flood", "video", 1500)
    assert (first.word, second.word) == ("ok", "ok")
    assert int(second.text) - int(first.text) < 1024


def test_a_confirm_that_never_comes_does_not_silence_a_handle_for_ever(unconfirmed):
    publisher, proxy = unconfirmed
    publisher.until("publish", "video", identifier(2))
    assert proxy.accepted == 2


def test_a_restart_keeps_hints_and_a_wiped_broker_is_filled_anew(broker, probe):
    url = f"amqp://guest:guest@{HOST}:{broker.port}/"
    consumer, publisher = probe(url, "mp3"), probe(url)
    assert publisher.publish(1, "mp3").word == "ok"
    broker.restart()
    publisher.until("publish", "mp3", identifier(2))
    consumer.receives(1)
    consumer.receives(2)
    broker.kill()
    assert publisher.until("publish", "mp3", identifier(3), word="error").text
    shutil.rmtree(broker.node.folder / "data")
    broker.start()
    publisher.until("publish", "mp3", identifier(4))
    consumer.receives(4)
