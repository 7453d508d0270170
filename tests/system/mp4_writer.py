"""Writes MP4 files whose layout ffmpeg does not make: packets that somebody else encoded, with any
tables, edits and fragments. `packets_of` takes the packets out of a file that ffmpeg made."""
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


def box(name: str, *content: bytes) -> bytes:
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4, "big") + name.encode() + body


def full(name: str, version: int, flags: int, *content: bytes) -> bytes:
    return box(name, bytes([version]), flags.to_bytes(3, "big"), *content)


def u16(*values: int) -> bytes:
    return b"".join((value & 0xffff).to_bytes(2, "big") for value in values)


def u32(*values: int) -> bytes:
    return b"".join((value & 0xffffffff).to_bytes(4, "big") for value in values)


def u64(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "big") for value in values)


@dataclass
class Packet:
    data: bytes
    duration: int
    entry: int = 0  # sample entry, from 0


def entry_of(path: Path) -> bytes:
    """The first sample entry of a file's first track."""
    data = path.read_bytes()
    at = data.index(b"stsd") + 12
    return data[at:at + int.from_bytes(data[at:at + 4], "big")]


def packets_of(path: Path) -> list[Packet]:
    lines = subprocess.run(
        ["ffprobe", "-v", "error", "-ignore_editlist", "1", "-select_streams", "a:0",
         "-show_entries", "packet=pos,size,duration", "-of", "csv=p=0", path],
        check=True, capture_output=True, text=True).stdout.split()
    data = path.read_bytes()
    rows = [[int(word) for word in line.split(",")[:3]] for line in lines]
    return [Packet(data[pos:pos + size], duration) for duration, size, pos in rows]


def adts_packets(path: Path, duration: int) -> list[Packet]:
    """The frames of an .adts file without their headers."""
    data, packets, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at + 3:at + 6], "big") >> 5 & 0x1fff
        head = 7 if data[at + 1] & 1 else 9
        packets.append(Packet(data[at + head:at + size], duration))
        at += size
    return packets


def aac_entry(config: bytes, rate: int, channels: int) -> bytes:
    """An mp4a entry around an AudioSpecificConfig."""
    def descriptor(tag: int, *content: bytes) -> bytes:
        body = b"".join(content)
        return bytes([tag, len(body)]) + body
    decoder = descriptor(4, b"\x40\x15", bytes(11), descriptor(5, config))
    esds = full("esds", 0, 0, descriptor(3, u16(1), b"\0", decoder, descriptor(6, b"\2")))
    return box("mp4a", bytes(6), u16(1), bytes(8), u16(channels, 16, 0, 0), u32(rate << 16), esds)


@dataclass
class Movie:
    entries: list[bytes]
    packets: list[Packet]
    timescale: int
    edits: list[tuple] = field(default_factory=list)  # (duration, media time[, speed])
    movie_timescale: int = 1000
    movie_duration: int = 0  # in its timescale; 0: as long as the track
    itunes: str = ""
    compact_bits: int = 0  # stz2
    packets_per_chunk: int = 10
    is_index_first: bool = False

    def write(self, path: Path) -> Path:
        head = box("ftyp", b"isom", u32(0), b"isommp42")
        media = b"".join(packet.data for packet in self.packets)
        index = self._moov(self._tables(len(head) + 8))
        if self.is_index_first:
            index = self._moov(self._tables(len(head) + len(index) + 8))
            path.write_bytes(head + index + box("mdat", media))
        else:
            path.write_bytes(head + box("mdat", media) + index)
        return path

    def write_fragments(self, path: Path, fragments: list[tuple], roll: bool = False) -> Path:
        """`fragments` are (decode time, or None for no tfdt; first packet; last packet + 1)."""
        total, self.packets, everything = self.movie_duration, [], self.packets
        trex = full("trex", 0, 0, u32(1, 1, 0, 0, 0))
        mehd = full("mehd", 0, 0, u32(total)) if total else b""
        empty = full("stts", 0, 0, u32(0)) + full("stsc", 0, 0, u32(0)) + \
            full("stsz", 0, 0, u32(0, 0)) + full("stco", 0, 0, u32(0))
        out = box("ftyp", b"iso5", u32(0), b"iso5mp42") + \
            self._moov(self._entries() + empty, box("mvex", mehd, trex))
        for number, (time, first, last) in enumerate(fragments):
            packets = everything[first:last]
            rows = b"".join(u32(packet.duration, len(packet.data)) for packet in packets)
            tfhd = full("tfhd", 0, 0x20002, u32(1, packets[0].entry + 1))
            tfdt = full("tfdt", 1, 0, u64(time)) if time is not None else b""
            sgpd = full("sgpd", 1, 0, b"roll", u32(2, 1), u16(-1)) + \
                full("sbgp", 0, 0, b"roll", u32(1, len(packets), 0x10001)) if roll else b""

            def moof(data_offset: int) -> bytes:
                trun = full("trun", 0, 0x301, u32(len(packets), data_offset), rows)
                return box("moof", full("mfhd", 0, 0, u32(number + 1)),
                           box("traf", tfhd, tfdt, sgpd, trun))
            out += moof(len(moof(0)) + 8) + box("mdat", *(packet.data for packet in packets))
        self.packets = everything
        path.write_bytes(out)
        return path

    def _entries(self) -> bytes:
        return full("stsd", 0, 0, u32(len(self.entries)), *self.entries)

    def _tables(self, position: int) -> bytes:
        chunks, offsets, at = [], [], 0
        while at < len(self.packets):  # a chunk has packets of one entry
            count = 1
            while count < self.packets_per_chunk and at + count < len(self.packets) and \
                    self.packets[at + count].entry == self.packets[at].entry:
                count += 1
            chunks.append(u32(len(chunks) + 1, count, self.packets[at].entry + 1))
            offsets.append(u32(position))
            position += sum(len(packet.data) for packet in self.packets[at:at + count])
            at += count
        sizes = [len(packet.data) for packet in self.packets]
        if self.compact_bits:
            size_bytes = self.compact_bits // 8
            stsz = full("stz2", 0, 0, u32(self.compact_bits, len(sizes)),
                        *(size.to_bytes(size_bytes, "big") for size in sizes))
        else:
            stsz = full("stsz", 0, 0, u32(0, len(sizes)), *map(u32, sizes))
        durations = [u32(1, packet.duration) for packet in self.packets]
        return self._entries() + full("stts", 0, 0, u32(len(durations)), *durations) + \
            full("stsc", 0, 0, u32(len(chunks)), *chunks) + stsz + \
            full("stco", 0, 0, u32(len(offsets)), *offsets)

    def _moov(self, tables: bytes, mvex: bytes = b"") -> bytes:
        ticks = sum(packet.duration for packet in self.packets)
        total = self.movie_duration or round(ticks * self.movie_timescale / self.timescale)
        matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
        mvhd = full("mvhd", 0, 0, u32(0, 0, self.movie_timescale, total, 0x10000), u16(0x100, 0),
                    u32(0, 0), matrix, bytes(24), u32(2))
        tkhd = full("tkhd", 0, 7, u32(0, 0, 1, 0, total, 0, 0), u16(0, 0, 0x100, 0), matrix,
                    u32(0, 0))
        rows = [u32(edit[0], edit[1], edit[2] if len(edit) > 2 else 0x10000) for edit in self.edits]
        edts = box("edts", full("elst", 0, 0, u32(len(rows)), *rows)) if rows else b""
        mdhd = full("mdhd", 0, 0, u32(0, 0, self.timescale, ticks), u16(0x55c4, 0))
        hdlr = full("hdlr", 0, 0, u32(0), b"soun", bytes(12), b"\0")
        dinf = box("dinf", full("dref", 0, 0, u32(1), full("url ", 0, 1)))
        minf = box("minf", full("smhd", 0, 0, u32(0)), dinf, box("stbl", tables))
        trak = box("trak", tkhd, edts, box("mdia", mdhd, hdlr, minf))
        return box("moov", mvhd, trak, mvex, self._udta())

    def _udta(self) -> bytes:
        if not self.itunes:
            return b""
        comment = box("----", full("mean", 0, 0, b"com.apple.iTunes"),
                      full("name", 0, 0, b"iTunSMPB"),
                      box("data", u32(1, 0), self.itunes.encode()))
        handler = full("hdlr", 0, 0, u32(0), b"mdirappl", bytes(9))
        return box("udta", full("meta", 0, 0, handler, box("ilst", comment)))
