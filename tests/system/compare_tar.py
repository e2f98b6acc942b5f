#!/usr/bin/env python3
"""compare_tar.py TAR FOLDER TOP [OPTION...]: whether a tar of pax form holds what is in FOLDER, below TOP/.

Everything is compared: names as bytes, kinds, contents, owner, permissions, times to the nanosecond, targets, devices,
hard links, extended attributes, and that holes are holes. Options take a comparison away where the file system has
no such thing: no-owner, no-mode, no-xattr, no-links, no-holes, seconds=N (times may differ by that).
Prints each difference; exit code 1 if there is one."""
import os
import stat
import sys
import tarfile

archive, folder, top = sys.argv[1], os.fsencode(sys.argv[2]), sys.argv[3]
options = set(sys.argv[4:])
tolerance = max([int(each[8:]) for each in options if each.startswith("seconds=")], default=0)
wrong = []


def complain(name, what):
    wrong.append(f"{name!r}: {what}")


def members():
    """Raw: tarfile decodes values of pax headers as UTF-8 with surrogates, which keeps all bytes."""
    with tarfile.open(archive, errors="surrogateescape") as tar:
        for member in tar:
            yield tar, member


def walk(path):
    yield path
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in os.listdir(path):
            yield from walk(os.path.join(path, name))


def time_of(member):
    text = member.pax_headers.get("mtime", str(int(member.mtime)))
    sign = -1 if text.startswith("-") else 1
    whole, _, rest = text.lstrip("-").partition(".")
    return sign * (int(whole) * 10**9 + int((rest + "0" * 9)[:9]))


def check_kind(member, info, path, name):
    kinds = [(member.isreg() or member.islnk(), stat.S_ISREG), (member.isdir(), stat.S_ISDIR),
             (member.issym(), stat.S_ISLNK), (member.ischr(), stat.S_ISCHR), (member.isblk(), stat.S_ISBLK),
             (member.isfifo(), stat.S_ISFIFO)]
    if not any(is_it and kind(info.st_mode) for is_it, kind in kinds):
        complain(name, "another kind")
    if member.issym() and os.fsencode(member.linkname) != os.readlink(path):
        complain(name, f"leads to {member.linkname!r}")
    if (member.ischr() or member.isblk()) and os.makedev(member.devmajor, member.devminor) != info.st_rdev:
        complain(name, f"is the device {member.devmajor}:{member.devminor}")


def check_content(tar, member, info, path, name):
    if member.size != info.st_size:
        complain(name, f"has {member.size} bytes instead of {info.st_size}")
        return
    stream = tar.extractfile(member)
    with open(path, "rb") as real:
        while True:
            ours, theirs = stream.read(1 << 20), real.read(1 << 20)
            if ours != theirs:
                complain(name, "has another content")
            if not ours or ours != theirs:
                break
    has_holes = info.st_blocks * 512 + 65536 < info.st_size
    if has_holes and not member.issparse() and "no-holes" not in options:
        complain(name, "is not sparse any more")


def check_attributes(member, path, name):
    prefix = "SCHILY.xattr."
    ours = {key[len(prefix):]: value.encode("utf-8", "surrogateescape")
            for key, value in member.pax_headers.items() if key.startswith(prefix)}
    theirs = {each: os.getxattr(path, each, follow_symlinks=False)
              for each in os.listxattr(path, follow_symlinks=False)
              if not each.startswith("trusted.SGI_ACL_")}  # XFS shows access lists twice
    if ours != theirs:
        for key in sorted(set(ours) | set(theirs)):
            if ours.get(key) != theirs.get(key):
                complain(name, f"attribute {key}: {ours.get(key)} instead of {theirs.get(key)}")


def main():
    seen, by_inode = set(), {}
    for tar, member in members():
        name = os.fsencode(member.name)
        relative = name[len(os.fsencode(top)):].lstrip(b"/")
        if not name.startswith(os.fsencode(top)):
            complain(name, "is not below the top")
            continue
        if relative.startswith(b"MULETTO-ERRORS"):
            complain(name, tar.extractfile(member).read().decode(errors="replace"))
            continue
        path = os.path.join(folder, relative) if relative else folder
        if not os.path.lexists(path):
            complain(name, "should not be there")
            continue
        info = os.lstat(path)
        if path in seen:
            complain(name, "is there twice")
        seen.add(path)
        check_kind(member, info, path, name)
        if "no-mode" not in options and not stat.S_ISLNK(info.st_mode) and member.mode & 0o7777 != info.st_mode & 0o7777:
            complain(name, f"mode {member.mode & 0o7777:o} instead of {info.st_mode & 0o7777:o}")
        if "no-owner" not in options and (member.uid, member.gid) != (info.st_uid, info.st_gid):
            complain(name, f"owner {member.uid}:{member.gid} instead of {info.st_uid}:{info.st_gid}")
        if info.st_ino != 2 and abs(time_of(member) - info.st_mtime_ns) > tolerance * 10**9 and not (tolerance and not relative):
            complain(name, f"time {time_of(member)} instead of {info.st_mtime_ns}")
        if "no-xattr" not in options:
            check_attributes(member, path, name)
        if member.islnk():
            if by_inode.get(os.fsencode(member.linkname)) != (info.st_dev, info.st_ino):
                complain(name, f"is a link to {member.linkname!r}, which is another file")
        elif member.isreg():
            if info.st_nlink > 1 and (info.st_dev, info.st_ino) in by_inode.values() and "no-links" not in options:
                complain(name, "is not a link any more")
            by_inode[name] = (info.st_dev, info.st_ino)
            check_content(tar, member, info, path, name)
    for path in walk(folder):
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
        if path not in seen and not is_socket:
            complain(path, "is missing")
    for line in wrong[:50]:
        print(line)
    print(f"{len(seen)} compared, {len(wrong)} differences")
    return 1 if wrong else 0


sys.exit(main())
