"""What must be true of a service at the end, whatever was done to it on the way."""
from collections import Counter
from pathlib import Path

from service import (UNREEL, Service, children_of, command_line, is_zombie, media_children_of,
                     wait_until)

# As tests/support/jobs_oracle.c has them.
EDGES = {("", "receiving"), ("receiving", "queued"), ("receiving", "deleting"),
         ("queued", "converting"), ("queued", "deleting"), ("converting", "converting"),
         ("converting", "queued"), ("converting", "ready"), ("converting", "failed"),
         ("converting", "deleting"), ("failed", "queued"), ("failed", "deleting"),
         ("ready", "deleting"), ("deleting", "deleted")}


def rows(service: Service, statement: str, *values) -> list:
    return service.jobs.rows(statement, *values)


def check_events(service: Service):
    """Every row's events are one chain of permitted edges that ends where the row stands."""
    for identifier, state, attempt in rows(service, "SELECT id, state, attempt FROM conversion"):
        at, revision, happened, number = "", 0, 0, 0
        for event in rows(service, "SELECT from_state, to_state, revision, attempt, happened_at"
                                   " FROM event WHERE conversion=? ORDER BY revision", identifier):
            assert event[:2] in EDGES and event[0] == at, (identifier, event, at)
            assert event[2] > revision and event[4] >= happened, (identifier, event)
            assert event[3] == number + (event[1] == "converting"), (identifier, event)
            _, at, revision, number, happened = event
        assert (at, number) == (state, attempt), identifier


def check_letters(service: Service):
    """One letter for each ending, none else."""
    endings = Counter(i for i, in rows(service, "SELECT conversion FROM event"
                                                " WHERE to_state IN ('ready', 'failed')"))
    assert Counter(i for i, in rows(service, "SELECT conversion FROM letter")) == endings


def leavings(service: Service) -> list[str]:
    """Blobs that no row names, unfinished ones, scratch files, broken mails."""
    named = {key for row in rows(service, "SELECT source_key, audio_key FROM conversion")
             for key in row if key}
    keys = service.blobs.keys()
    assert named <= keys, f"rows name blobs that are not there: {named - keys}"
    return service.blobs.leavings(named) + [str(path) for path in service.scratch_files()] \
        + service.mailbox.leavings()


def media_children(service: Service) -> list[int]:
    return [child for converter in service.children("converter")
            for child in media_children_of(converter)]


def check_processes(service: Service):
    """No zombie anywhere, and no media program of this service whose converter is gone."""
    descendants = service.processes()
    for pid in descendants:
        descendants += children_of(pid)
    assert not [pid for pid in descendants if is_zombie(pid)]
    wait_until(lambda: not media_children(service), 30, what="the media programs to end")
    program = str(UNREEL.with_name("unreel-media"))
    for path in Path("/proc").glob("[0-9]*"):
        if command_line(int(path.name))[:1] == ["unreel-media"] and \
                str((path / "exe").resolve()) == program:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            assert parent != 1, f"{path.name} has outlived its converter"


def check_all(service: Service):
    check_events(service)
    check_letters(service)
    check_processes(service)
    wait_until(lambda: not any(service.waiting_hints().values()), 60,
               what=f"hints to be settled: {service.waiting_hints()}")
    # A mail with the same Message-ID replaces its file, so the files alone would hide a second one.
    wait_until(lambda: not leavings(service), 60, 0.5, what=f"leavings to go: {leavings(service)}")
