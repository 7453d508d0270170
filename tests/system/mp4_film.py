"""A file that ffmpeg made, with boxes changed or added by hand: metadata that no program of ours makes.
(mp4_writer.py makes whole files of packets.)

    film = Film(path)                       # as ffmpeg made it, with its index behind the sound
    film.moov.add(box("udta", quicktime_text("©nam", "Titel")))
    film.write(path)
"""
import struct
from pathlib import Path

HOLDS_BOXES = {"moov", "trak", "mdia", "minf", "stbl", "udta", "edts", "tref", "mvex", "moof", "traf"}


class Box:
    """One box: its type, and bytes or boxes."""

    def __init__(self, kind: str, content):
        self.kind, self.content = kind, content

    def __bytes__(self) -> bytes:
        body = self.content
        if isinstance(body, list):
            body = b"".join(map(bytes, body))
        return struct.pack(">I", len(body) + 8) + self.kind.encode("latin-1") + body

    def all(self, kind: str) -> list["Box"]:
        return [child for child in self.content if child.kind == kind]

    def find(self, path: str) -> "Box":
        """The first at "trak/mdia/hdlr"."""
        first, _, rest = path.partition("/")
        child = self.all(first)[0]
        return child.find(rest) if rest else child

    def add(self, *boxes: "Box") -> "Box":
        self.content.extend(boxes)
        return self

    def drop(self, kind: str) -> "Box":
        self.content = [child for child in self.content if child.kind != kind]
        return self

    def patch(self, offset: int, data: bytes) -> None:
        """Other bytes at an offset of the body."""
        self.content = self.content[:offset] + data + self.content[offset + len(data):]


def parse(data: bytes) -> list[Box]:
    boxes, at = [], 0
    while len(data) - at >= 8:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        kind = kind.decode("latin-1")
        body = data[at + head:at + size]
        boxes.append(Box(kind, parse(body) if kind in HOLDS_BOXES else body))
        at += size
    return boxes


def box(kind: str, *parts) -> Box:
    """From bytes, boxes and numbers of 32 bits, in any mixture."""
    return Box(kind, b"".join(struct.pack(">I", part) if isinstance(part, int) else bytes(part)
                              for part in parts))


def full(kind: str, *parts, version: int = 0, flags: int = 0) -> Box:
    return box(kind, version << 24 | flags, *parts)


class Film:
    """A file whose index may be changed; the sound's place in the file stays as it is."""

    def __init__(self, path: Path):
        self.boxes = parse(path.read_bytes())
        kinds = [part.kind for part in self.boxes]
        assert kinds.index("mdat") < kinds.index("moov"), "make it without +faststart"
        self.moov = self.boxes[kinds.index("moov")]

    def tracks(self) -> list[Box]:
        return self.moov.all("trak")

    def store(self, *samples: bytes) -> list[int]:
        """Puts samples in front of the index; returns their offsets in the file."""
        at = 8
        for part in self.boxes[:self.boxes.index(self.moov)]:
            at += len(bytes(part))
        offsets = []
        for sample in samples:
            offsets.append(at)
            at += len(sample)
        self.boxes.insert(self.boxes.index(self.moov), box("mdat", *samples))
        return offsets

    def write(self, path: Path) -> Path:
        path.write_bytes(b"".join(map(bytes, self.boxes)))
        return path


# ---- texts ----

def data(value: bytes, kind: int = 1) -> Box:
    return box("data", kind, 0, value)


def item(kind: str, *values) -> Box:
    return box(kind, *(value if isinstance(value, Box) else data(value.encode()) for value in values))


def itunes(*items: Box) -> Box:
    handler = full("hdlr", 0, b"mdir", b"appl", 0, 0, b"\0")
    return box("udta", full("meta", handler, box("ilst", *items)))


def keyed(handler: bytes = b"mdta", is_full: bool = False, **values) -> Box:
    """QuickTime's: names in `keys`, numbers in `ilst`. In a name "__" stands for "."."""
    names = [name.replace("__", ".").encode() for name in values]
    keys = full("keys", len(names), *(box("mdta", name) for name in names))
    items = (box(struct.pack(">I", i + 1).decode("latin-1"),
                 value if isinstance(value, Box) else data(value.encode()))
             for i, value in enumerate(values.values()))
    parts = (full("hdlr", 0, handler, 0, 0, 0, b"\0"), keys, box("ilst", *items))
    return full("meta", *parts) if is_full else box("meta", *parts)


def quicktime_text(kind: str, text, language: int = 0x55c4) -> Box:
    value = text if isinstance(text, bytes) else text.encode()
    return box(kind, struct.pack(">HH", len(value), language), value)


def text_of_3gpp(kind: str, text, language: int = 0x15c7) -> Box:
    value = text if isinstance(text, bytes) else text.encode() + b"\0"
    return full(kind, struct.pack(">H", language), value)


# ---- chapters ----

def nero_list(*chapters: tuple[float, str], version: int = 1, count: int | None = None) -> Box:
    number = len(chapters) if count is None else count
    head = struct.pack(">BI", 0, number) if version == 1 else bytes([number])
    entries = (struct.pack(">QB", round(start * 10_000_000), len(title.encode())) + title.encode()
               for start, title in chapters)
    return full("chpl", head, *entries, version=version)


def text_track(film: Film, number: int, samples: list[tuple[bytes, int]], shift_ms: int = 0) -> Box:
    """A track of chapters: samples as they stand in the file, with their milliseconds."""
    offsets = film.store(*(sample for sample, _ in samples))
    length = sum(duration for _, duration in samples)
    count = len(samples)
    table = Box("stbl", [
        full("stsd", 1, box("text", 0, struct.pack(">HH", 0, 1), bytes(43))),
        full("stts", count, *(number for _, duration in samples for number in (1, duration))),
        full("stsc", 1, 1, 1, 1),
        full("stsz", 0, count, *(len(sample) for sample, _ in samples)),
        full("stco", count, *offsets),
    ])
    edits = [full("elst", 2, shift_ms, 0xffffffff, 0x10000, length, 0, 0x10000)] if shift_ms else []
    return Box("trak", [
        full("tkhd", 0, 0, number, 0, length, bytes(60), flags=2),
        *([Box("edts", edits)] if edits else []),
        Box("mdia", [
            full("mdhd", 0, 0, 1000, length, struct.pack(">HH", 0x55c4, 0)),
            full("hdlr", b"mhlr", b"text", 0, 0, 0, b"\0"),
            Box("minf", [full("nmhd"), table]),
        ]),
    ])


def title_sample(text: str, encoding: str = "utf-8") -> bytes:
    value = text.encode(encoding)
    return struct.pack(">H", len(value)) + value + bytes(box("encd", 0x100))
