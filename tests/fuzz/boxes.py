"""The boxes of an MP4 or MOV as a tree that can be taken apart and written again."""
from __future__ import annotations

import struct
from dataclasses import dataclass, field

# Boxes that hold boxes, and how many bytes of their own stand before them.
CONTAINERS = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"edts": 0, b"dinf": 0,
              b"udta": 0, b"ilst": 0, b"mvex": 0, b"moof": 0, b"traf": 0, b"wave": 0, b"sinf": 0,
              b"schi": 0, b"tref": 0, b"mfra": 0, b"meta": 4, b"stsd": 8, b"dref": 8, b"gmhd": 0}
AUDIO_ENTRIES = {b"mp4a", b"enca", b"alac", b"fLaC", b"Opus", b"ac-3", b"ec-3", b".mp3", b"sowt",
                 b"twos", b"in24", b"in32", b"fl32", b"fl64", b"ulaw", b"alaw", b"lpcm", b"raw ",
                 b"ms\0\x55", b"NONE"}
DEEPEST = 16


@dataclass
class Box:
    type: bytes
    head: bytes = b""                      # its own bytes, before its children
    children: list[Box] = field(default_factory=list)
    size: int | None = None                # what it claims; None: the truth
    is_wide: bool = False                  # its size in 64 bits

    def copy(self) -> Box:
        return Box(self.type, self.head, [each.copy() for each in self.children], self.size,
                   self.is_wide)

    def write(self) -> bytes:
        body = self.head + b"".join([each.write() for each in self.children])
        size = len(body) + (16 if self.is_wide else 8) if self.size is None else self.size
        if self.is_wide:
            return struct.pack(">I4sQ", 1, self.type, size & (1 << 64) - 1) + body
        return struct.pack(">I4s", size & (1 << 32) - 1, self.type) + body

    def walk(self):
        yield self
        for each in self.children:
            yield from each.walk()

    def find(self, kind: bytes) -> Box | None:
        return next((each for each in self.walk() if each.type == kind), None)


def head_size(kind: bytes, body: bytes, parent: bytes) -> int | None:
    """How many bytes stand before the children; None: it has none."""
    if parent == b"stsd" and kind in AUDIO_ENTRIES and len(body) >= 28:
        return 28 + {0: 0, 1: 16, 2: 36}.get(int.from_bytes(body[8:10], "big"), 0)
    if kind == b"meta" and body[4:8] == b"hdlr":
        return 0                           # QuickTime's has no version
    if parent == b"ilst":
        return 0
    return CONTAINERS.get(kind)


def read_boxes(data: bytes, parent: bytes = b"", depth: int = 0) -> list[Box] | None:
    """The boxes that tile the bytes; None where they do not."""
    boxes, at = [], 0
    while at < len(data):
        if len(data) - at < 8:
            return None
        size, kind = struct.unpack_from(">I4s", data, at)
        start, is_wide = at + 8, size == 1
        if is_wide and len(data) - at >= 16:
            size, start = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        if size == 0:
            size = len(data) - at
        if size < start - at or at + size > len(data):
            return None
        body = data[start:at + size]
        own = head_size(kind, body, parent) if depth < DEEPEST else None
        children = None if own is None else read_boxes(body[own:], kind, depth + 1)
        if children is None:
            boxes.append(Box(kind, body, is_wide=is_wide))
        else:
            boxes.append(Box(kind, body[:own], children, is_wide=is_wide))
        at += size
    return boxes


def write_boxes(boxes: list[Box]) -> bytes:
    return b"".join([each.write() for each in boxes])
