"""The whole service while its broker is hurt: every upload that was answered 201 becomes ready."""
import random
import shutil
import statistics
import threading
import time

import pytest
from broker import RabbitMQ, RabbitMQCluster, VirtualHost, identifier, needs_rabbitmq
from oracle import check_all, rows
from service import Service, wait_until

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


class Uploader(threading.Thread):
    """Uploads one after the other until it is told to end; every one must be accepted."""

    def __init__(self, service: Service, video: bytes):
        super().__init__()
        self.service, self.video = service, video
        self.token = service.user("anna@example.org")
        self.ids, self.seconds, self.refused = [], [], []
        self.is_over = threading.Event()
        self.start()

    def run(self):
        while not self.is_over.is_set():
            start = time.monotonic()
            answer = self.service.upload(self.token, self.video, f"video {len(self.ids)}.mp4")
            self.seconds.append(time.monotonic() - start)
            if answer.status == 201:
                self.ids.append(answer.json["id"])
            else:
                self.refused.append(answer.body)
            self.is_over.wait(0.7)

    def more(self, count: int = 2) -> list[float]:
        """Waits for so many uploads; how long they took."""
        before = len(self.seconds)
        wait_until(lambda: len(self.seconds) >= before + count or not self.is_alive(), 60,
                   what="more uploads")
        return self.seconds[before:]

    def end(self) -> list[str]:
        self.is_over.set()
        self.join(60)
        assert not self.refused and self.ids
        return self.ids


def hints_sent(service: Service) -> int:
    """By the gateway."""
    for line in service.admin(0, "/metrics").body.decode().splitlines():
        if line.startswith('unreel_hints_total{outcome="sent"}'):
            return int(float(line.split()[-1]))
    return 0


def hints_come_again(service: Service):
    before = hints_sent(service)
    wait_until(lambda: hints_sent(service) > before, 60, what="hints to be sent again")
    wait_until(service.is_ready, 60, what="all consumers to be back")


def check_the_end(service: Service, uploader: Uploader) -> int:
    for each in uploader.end():
        service.wait_for(uploader.token, each, "ready", 240)
    wait_until(lambda: not rows(service, "SELECT id FROM letter WHERE state<>'sent'"), 240,
               what="all letters to be sent")
    assert [len(service.mails(each)) for each in uploader.ids] == [1] * len(uploader.ids)
    check_all(service)
    assert rows(service, "SELECT SUM(attempt)-COUNT(*), SUM(failures) FROM conversion") == [(0, 0)]
    assert rows(service, "SELECT SUM(attempt)-COUNT(*) FROM letter") == [(0,)]
    return len(uploader.ids)


def double_and_reorder(vhost: VirtualHost, ids: list[str]):
    """Hints of everything so far twice, in any order, among hints of nothing and nonsense."""
    extra = [*ids, *ids, identifier(1), "nonsense", ""]
    random.Random(1).shuffle(extra)
    for number, each in enumerate(extra):
        vhost.put(("video", "mp3")[number % 2], each)


def freeze(broker: RabbitMQ, uploader: Uploader):
    """For longer than two heartbeats; no upload waits for the broker."""
    before = uploader.more(5)
    broker.freeze()
    during, until = [], time.monotonic() + 65
    while time.monotonic() < until:
        during += uploader.more()
    broker.thaw()
    print(f"# an upload took {statistics.median(before):.3f} s before the freeze, in it "
          f"{statistics.median(during):.3f} s, at most {max(during):.3f} s")
    assert statistics.median(during) < statistics.median(before) + 1


def wipe(broker: RabbitMQ, uploader: Uploader):
    broker.kill()
    shutil.rmtree(broker.node.folder / "data")
    uploader.more()
    broker.start()


def test_nothing_that_happens_to_a_broker_loses_an_upload(new_service, tmp_path, video):
    needs_rabbitmq()
    with RabbitMQ(tmp_path / "broker") as broker:
        root = VirtualHost(broker.node, "/")
        service = new_service(settings={"UNREEL_QUEUE": broker.url()}).start()
        uploader = Uploader(service, video.read_bytes())

        def both(kind: str):
            for name in ("video", "mp3"):
                root.manage("DELETE", "queues", f"/{name}{kind}")

        faults = {
            "queues purged": lambda: [both("/contents") or uploader.more(1) for _ in range(3)],
            "queues deleted": lambda: both(""),
            "queues deleted again": lambda: both(""),
            "connections closed": root.close_connections,
            "hints doubled and reordered": lambda: double_and_reorder(root, uploader.ids),
            "broker restarted": broker.restart,
            "broker wiped": lambda: wipe(broker, uploader),
            "broker frozen for 65 s": lambda: freeze(broker, uploader),
        }
        for name, hurt in faults.items():
            uploader.more()
            hurt()
            hints_come_again(service)
        count = check_the_end(service, uploader)
        print(f"# {count} uploads accepted in {len(faults)} faults, 0 lost, 0 stuck, 0 leavings")
        assert service.stop() == 0


def test_a_cluster_that_loses_its_leaders_loses_no_upload(new_service, tmp_path, video):
    needs_rabbitmq()
    with RabbitMQCluster(tmp_path / "cluster") as cluster:
        service = new_service(settings={"UNREEL_QUEUE": cluster.url()}).start()
        uploader = Uploader(service, video.read_bytes())
        uploader.more(3)
        for name in ("video", "mp3"):
            leader = cluster.leader("/", name)
            leader.kill()
            uploader.more()
            hints_come_again(service)
            leader.start()
            wait_until(lambda: all(cluster.sees_all(node) for node in cluster.nodes), 60,
                       what="the cluster to be whole")
        count = check_the_end(service, uploader)
        print(f"# {count} uploads accepted while 2 leaders were killed, 0 lost")
        assert service.stop() == 0
