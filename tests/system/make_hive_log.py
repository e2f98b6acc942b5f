#!/usr/bin/env python3
"""Makes a hive unfinished: HIVE NEXT LOG. What NEXT has and HIVE does not is written to LOG, as Windows 8.1 and later
write a hive's transaction log (regf, entries "HvLE" with Marvin32 checksums); HIVE is marked as not clean."""
import struct
import sys

PAGE = 4096
MASK = 0xFFFFFFFF


def rotate(value, count):
    return (value << count | value >> (32 - count)) & MASK


def marvin(data, seed=0x82EF4D887A4E55C5):
    low, high = seed & MASK, seed >> 32
    data += b"\x80"
    data += b"\0" * (-len(data) % 4) + b"\0" * 4
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) & MASK
        high ^= low
        low = (rotate(low, 20) + high) & MASK
        high = rotate(high, 9) ^ low
        low = (rotate(low, 27) + high) & MASK
        high = rotate(high, 19)
    return high << 32 | low


def base_block(hive, primary, secondary, kind):
    head = bytearray(hive[:508])
    struct.pack_into("<II", head, 4, primary, secondary)
    struct.pack_into("<I", head, 28, kind)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", head):
        checksum ^= word
    return bytes(head) + struct.pack("<I", checksum)


path, next_path, log_path = sys.argv[1:]
hive, following = open(path, "rb").read(), open(next_path, "rb").read()
bins = following[PAGE:]
old = hive[PAGE:].ljust(len(bins), b"\0")
pages = [at for at in range(0, len(bins), 512) if bins[at : at + 512] != old[at : at + 512]]
places = b"".join(struct.pack("<II", at, 512) for at in pages)
content = places + b"".join(bins[at : at + 512] for at in pages)
content += b"\0" * (-(len(content) + 40) % 512)
(last,) = struct.unpack_from("<I", hive, 4)
head = struct.pack("<4sIIIIIQ", b"HvLE", 40 + len(content), 0, last + 1, len(bins), len(pages), marvin(content))
with open(log_path, "wb") as log:
    log.write(base_block(hive, last + 1, last + 1, 6) + head + struct.pack("<Q", marvin(head)) + content)
with open(path, "r+b") as file:
    file.write(base_block(hive, last + 1, last, 0))
