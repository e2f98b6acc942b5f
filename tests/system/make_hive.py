#!/usr/bin/env python3
"""Makes an empty registry hive (regf 1.3): a root key without values, for hivexregedit --merge."""
import struct
import sys

PAGE = 4096
NONE = 0xFFFFFFFF
ROOT = 0x20  # offsets count from the first bin


def cell(content):
    size = (len(content) + 4 + 7) // 8 * 8
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


def root_key(security):
    head = struct.pack("<2sHQII", b"nk", 0x2C, 0, 0, 0)
    lists = struct.pack("<IIIIIIII", 0, 0, NONE, NONE, 0, NONE, security, NONE)
    return cell(head + lists + struct.pack("<IIIIIHH", 0, 0, 0, 0, 0, 4, 0) + b"ROOT")


def hive():
    security = ROOT + len(root_key(0))
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    keys = root_key(security) + cell(struct.pack("<2sHIIII", b"sk", 0, security, security, 1, 20) + descriptor)
    free = PAGE - ROOT - len(keys)
    first_bin = struct.pack("<4sIIIIQI", b"hbin", 0, PAGE, 0, 0, 0, 0) + keys + struct.pack("<i", free)
    head = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 0, 1, 3, 0, 1, ROOT, PAGE, 1).ljust(508, b"\0")
    checksum = 0
    for (word,) in struct.iter_unpack("<I", head):
        checksum ^= word
    return (head + struct.pack("<I", checksum)).ljust(PAGE, b"\0") + first_bin.ljust(PAGE, b"\0")


with open(sys.argv[1], "wb") as file:
    file.write(hive())
