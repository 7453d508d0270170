"""What a hostile or broken program does to an MP4. `mutate` is a pure function of the seeds, a number
and an index: one of its kinds of change, or several, of the tree of boxes and of the bytes."""
import random

from boxes import AUDIO_ENTRIES, CONTAINERS, Box, read_boxes, write_boxes

LARGEST_BYTES = 256 * 1024
LARGEST_TREE = 400  # boxes
TABLES = (b"stts", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"elst", b"ctts", b"trun", b"tfhd",
          b"tfdt", b"trex", b"sidx", b"saiz", b"saio", b"sbgp", b"sgpd", b"stss", b"mfhd", b"tfra")
HEADERS = (b"mvhd", b"mdhd", b"tkhd", b"hdlr", b"stsd", b"mehd", b"chpl", b"chap", b"tmcd", b"smhd",
           b"pssh", b"tenc", b"schm", b"senc", b"ftyp", b"dref", b"url ", b"meta", b"keys")
CONFIGURATIONS = (b"esds", b"dOps", b"dac3", b"dec3", b"alac", b"dfLa", b"wave", b"chan", b"enda",
                  b"frma", b"btrt", b"pcmC", *AUDIO_ENTRIES)
OTHER_TYPES = (b"free", b"skip", b"wide", b"uuid", b"cmov", b"rmra", b"dcom", b"cmvd", b"\0\0\0\0",
               b"\xa9nam", b"covr", b"trkn", b"data", b"mean", b"name", b"gnre", b"avcC", b"glbl")
TYPES = (*CONTAINERS, *TABLES, *HEADERS, *CONFIGURATIONS, *OTHER_TYPES, b"mdat", b"ftyp")
NUMBERS_32 = (0, 1, 2, 3, 7, 8, 9, 15, 16, 255, 256, 1000, 1024, 4096, 65535, 65536, 100_000,
              0x00ffffff, 0x10000000, 0x3fffffff, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001,
              0xfffffff0, 0xfffffffe, 0xffffffff)
NUMBERS_64 = (0, 1, 7, 8, 15, 16, 17, 1 << 31, 1 << 32, (1 << 32) - 1, (1 << 62) - 1, 1 << 62,
              (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 8)
TEXTS = (b"", b"\0", b"\xff" * 40, "✓".encode() * 300, b"a\0b", b"\xef\xbb\xbf\xff\xfe", b"%s%n" * 20,
         b"\xf0\x9f\x98", b"ID3\3\0\0\x7f\x7f\x7f\x7f", b"\r\nX: y\r\n", b"x" * 70_000)


def all_boxes(boxes: list[Box]) -> list[Box]:
    return [each for top in boxes for each in top.walk()]


def places(boxes: list[Box]) -> list[list[Box]]:
    """Every list that boxes stand in."""
    return [boxes] + [each.children for each in all_boxes(boxes) if each.children]


def of_types(dice: random.Random, boxes: list[Box], types: tuple) -> Box | None:
    found = [each for each in all_boxes(boxes) if each.type in types and each.head]
    return dice.choice(found) if found else None


def number_32(dice: random.Random, before: int = 0) -> int:
    kind = dice.randrange(4)
    if kind == 0:
        return before + dice.choice((-2, -1, 1, 2, 7, 100)) & 0xffffffff
    if kind == 1:
        return dice.getrandbits(dice.randint(1, 32))
    return dice.choice(NUMBERS_32)


def change_bytes(dice: random.Random, data: bytes, start: int = 0) -> bytes:
    """A few bytes of it: bits, values, a stretch of zeros, a piece that moves."""
    if len(data) <= start:
        return data
    out = bytearray(data)
    kind = dice.randrange(6)
    at = dice.randrange(start, len(out))
    length = min(dice.choice((1, 2, 4, 16, 300)), len(out) - at)
    if kind <= 1:
        for _ in range(dice.choice((1, 1, 2, 8, 64))):
            out[dice.randrange(start, len(out))] ^= 1 << dice.randrange(8)
    elif kind == 2:
        out[at] = dice.choice((0, 1, 0x7f, 0x80, 0xff, dice.randrange(256)))
    elif kind == 3:
        out[at:at + length] = bytes([dice.choice((0, 0xff))]) * length
    elif kind == 4:
        source = dice.randrange(start, len(out))
        out[at:at + length] = out[source:source + length]
    else:
        out[at:at + length] = dice.randbytes(length)
    return bytes(out)


# ---- changes of the tree ----

def lie_about_size(dice, boxes, others) -> None:
    box = dice.choice(all_boxes(boxes))
    truth = len(box.write())
    if dice.random() < 0.3:
        box.is_wide = True
        box.size = dice.choice((*NUMBERS_64, truth, truth + 8))
    else:
        box.size = dice.choice((number_32(dice, truth), truth + dice.randint(-16, 16), truth // 2))


def change_type(dice, boxes, others) -> None:
    box = dice.choice(all_boxes(boxes))
    box.type = dice.choice(TYPES) if dice.random() < 0.8 else dice.randbytes(4)


def delete(dice, boxes, others) -> None:
    place = dice.choice(places(boxes))
    place.pop(dice.randrange(len(place))) if len(place) > 0 else None


def duplicate(dice, boxes, others) -> None:
    place = dice.choice(places(boxes))
    if place:
        at = dice.randrange(len(place))
        place[at:at] = [place[at].copy() for _ in range(dice.choice((1, 1, 1, 2, 20)))]


def swap(dice, boxes, others) -> None:
    place = dice.choice(places(boxes))
    dice.shuffle(place)


def move(dice, boxes, others) -> None:
    """A copy of a box into a place that is not its own."""
    box = dice.choice(all_boxes(boxes)).copy()
    place = dice.choice(places(boxes))
    place.insert(dice.randint(0, len(place)), box)


def nest(dice, boxes, others) -> None:
    place = dice.choice(places(boxes))
    if not place:
        return
    at = dice.randrange(len(place))
    for _ in range(dice.choice((1, 1, 3, 40))):
        kind = dice.choice((place[at].type, *CONTAINERS))
        place[at] = Box(kind, bytes(CONTAINERS.get(kind, 0)), [place[at]])


def take_from_another(dice, boxes, others) -> None:
    """A box of another file: in place of one of the same type, or anywhere."""
    box = dice.choice(all_boxes(others)).copy() if others else Box(b"free")
    same = [each for each in all_boxes(boxes) if each.type == box.type]
    if same and dice.random() < 0.7:
        mine = dice.choice(same)
        mine.head, mine.children = box.head, box.children
    else:
        place = dice.choice(places(boxes))
        place.insert(dice.randint(0, len(place)), box)


def double_index(dice, boxes, others) -> None:
    index = [each for each in boxes + (others or []) if each.type in (b"moov", b"moof", b"sidx")]
    if index:
        boxes.insert(dice.randint(0, len(boxes)), dice.choice(index).copy())


def change_number(dice, boxes, others) -> None:
    box = of_types(dice, boxes, TABLES + HEADERS)
    if box is None or len(box.head) < 4:
        return
    for _ in range(dice.choice((1, 1, 2, 5))):
        words = len(box.head) // 4
        at = 4 * (dice.randrange(words) if dice.random() < 0.5 else dice.randrange(min(words, 5)))
        before = int.from_bytes(box.head[at:at + 4], "big")
        box.head = box.head[:at] + number_32(dice, before).to_bytes(4, "big") + box.head[at + 4:]


def change_entries(dice, boxes, others) -> None:
    """A whole column of a table: all sizes, all offsets, all durations."""
    box = of_types(dice, boxes, TABLES)
    if box is None or len(box.head) < 12:
        return
    step, start = dice.choice((4, 8, 12)), dice.choice((8, 12, 16, 20))
    value, grows = number_32(dice), dice.choice((0, 0, 1, 1024))
    head = bytearray(box.head)
    for at in range(start, len(head) - 3, step):
        head[at:at + 4] = value.to_bytes(4, "big")
        value = value + grows & 0xffffffff
    box.head = bytes(head)


def grow_table(dice, boxes, others) -> None:
    box = of_types(dice, boxes, TABLES)
    if box is None or len(box.head) < 8:
        return
    at = 8 if box.type in (b"stsz", b"stz2") and len(box.head) >= 12 else 4
    count = dice.choice((1, 100, 4096, 5000))
    entry = box.head[-dice.choice((4, 8, 12)):]
    total = int.from_bytes(box.head[at:at + 4], "big") + count & 0xffffffff
    box.head = box.head[:at] + total.to_bytes(4, "big") + box.head[at + 4:] + entry * count


def change_clock(dice, boxes, others) -> None:
    box = of_types(dice, boxes, (b"mdhd", b"mvhd", b"sidx"))
    if box is None or len(box.head) < 32:
        return
    at = 8 if box.type == b"sidx" else 20 if box.head[0] == 1 else 12
    value = dice.choice((0, 0, 1, 2, 0x7fffffff, 0xffffffff, number_32(dice)))
    box.head = box.head[:at] + value.to_bytes(4, "big") + box.head[at + 4:]


def change_configuration(dice, boxes, others) -> None:
    box = of_types(dice, boxes, CONFIGURATIONS)
    if box is not None:
        box.head = change_bytes(dice, box.head)


def change_header(dice, boxes, others) -> None:
    box = of_types(dice, boxes, HEADERS + TABLES)
    if box is not None:
        box.head = change_bytes(dice, box.head)


def change_sound(dice, boxes, others) -> None:
    box = of_types(dice, boxes, (b"mdat",))
    if box is not None:
        for _ in range(dice.choice((1, 3, 30))):
            box.head = change_bytes(dice, box.head)


def change_any_box(dice, boxes, others) -> None:
    box = dice.choice(all_boxes(boxes))
    kind = dice.randrange(4)
    if kind == 0:
        box.head = box.head[:dice.randint(0, len(box.head))]
    elif kind == 1:
        box.head += dice.randbytes(dice.choice((1, 4, 100)))
    elif kind == 2:
        box.head = bytes(len(box.head))
    else:
        box.head = change_bytes(dice, box.head)


def change_text(dice, boxes, others) -> None:
    box = of_types(dice, boxes, (b"data", b"name", b"mean", b"hdlr", b"chpl", b"\xa9nam", b"\xa9ART",
                                 b"titl", b"covr"))
    if box is not None:
        keep = dice.randint(0, min(len(box.head), 28))
        box.head = box.head[:keep] + dice.choice(TEXTS)


OF_THE_TREE = (lie_about_size, change_type, delete, duplicate, swap, move, nest, take_from_another,
               double_index, change_number, change_number, change_number, change_entries, change_entries,
               grow_table, change_clock, change_configuration, change_configuration, change_header,
               change_header, change_sound, change_sound, change_any_box, change_text)


# ---- changes of the bytes ----

def cut(dice, data, other) -> bytes:
    return data[:dice.randrange(len(data))]


def cut_out(dice, data, other) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + data[at + dice.choice((1, 4, 8, 100, 1000)):]


def put_in(dice, data, other) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(dice.choice((1, 4, 8, 100))) + data[at:]


def splice(dice, data, other) -> bytes:
    return data[:dice.randrange(len(data))] + other[dice.randrange(len(other)):]


def change_anywhere(dice, data, other) -> bytes:
    return change_bytes(dice, data)


def change_number_anywhere(dice, data, other) -> bytes:
    if len(data) < 8:
        return data
    size = dice.choice((2, 4, 8))
    at = dice.randrange(len(data) - size + 1)
    value = dice.choice(NUMBERS_64) if size == 8 else number_32(dice) & (1 << 8 * size) - 1
    return data[:at] + value.to_bytes(size, "big") + data[at + size:]


OF_THE_BYTES = (cut, cut_out, put_in, splice, change_anywhere, change_anywhere, change_number_anywhere)


class Mutator:
    def __init__(self, seeds: dict[str, bytes], number: int):
        self.names = list(seeds)
        self.data = seeds
        self.trees = {name: tree for name, data in seeds.items() if (tree := read_boxes(data))}
        self.number = number

    def mutate(self, index: int) -> tuple[bytes, str]:
        """File `index`, and what was done to which seed."""
        dice = random.Random(f"{self.number}/{index}")
        name, other = dice.choice(self.names), dice.choice(self.names)
        data, done = self.data[name], [name]
        if name in self.trees and dice.random() < 0.85:
            boxes = [each.copy() for each in self.trees[name]]
            for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5, 8))):
                if not boxes or len(all_boxes(boxes)) > LARGEST_TREE:
                    break
                change = dice.choice(OF_THE_TREE)
                change(dice, boxes, self.trees.get(other))
                done.append(change.__name__)
            data = write_boxes(boxes)
        if len(done) == 1 or dice.random() < 0.1:
            for _ in range(dice.choice((1, 1, 2, 4))):
                if data:
                    change = dice.choice(OF_THE_BYTES)
                    data = change(dice, data, self.data[other])
                    done.append(change.__name__)
        return data[:LARGEST_BYTES], " ".join(done)
