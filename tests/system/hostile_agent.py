#!/usr/bin/env python3
"""What a thief does who has an agent's certificate and key. For 80-hostile-agent.sh.

hostile_agent.py ADDRESS PORT CERTIFICATE KEY polls|claims|frames|pings|strangers|names SECONDS

Each mode attacks for that time at most, prints what it saw, and fails when an answer is none that a
healthy appliance gives.
"""
import json
import random
import socket
import ssl
import struct
import sys
import time

address, port, certificate, key, mode, seconds = sys.argv[1:]
port, end = int(port), time.monotonic() + float(seconds)

# Types of frames, docs/protocol.md section 4.
HELLO, WELCOME, QUERY, LAST_POINT, OPEN, READY, OFFER, NEED, DATA, DONE, COMMIT = range(1, 12)
PING, ERROR = 13, 15
# Another machine than the honest one: connections of strangers are counted by address.
SOURCE = ("127.0.0.2", 0)


def connect():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    plain = socket.create_connection((address, port), timeout=20, source_address=SOURCE)
    return context.wrap_socket(plain)


def ask(method, path, body):
    """The status of one request; 0: the connection was cut."""
    try:
        with connect() as stream:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            stream.sendall((head + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body)
            answer = b""
            while part := stream.recv(65536):
                answer += part
        return int(answer.split(b" ", 2)[1])
    except (OSError, IndexError, ValueError):
        return 0


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def frame(kind, payload=b"", size=None):
    return struct.pack("<IB3x", len(payload) if size is None else size, kind) + payload


HELLO_FRAME = frame(HELLO, b"MULETTO\n" + struct.pack("<HH", 1, 1) + text("thief"))


def upgrade():
    """A connection that speaks the transfer protocol, or the HTTP status of the refusal."""
    stream = connect()
    stream.sendall(b"GET /api/v1/transfer HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: muletto-transfer\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = stream.recv(1)
        if not part:
            return None, 0
        answer += part
    status = int(answer.split(b" ", 2)[1])
    return (stream, 101) if status == 101 else (stream.close(), status)


def polls():
    deep = b"[" * 400000 + b"]" * 400000
    bodies = [
        b"", b"[]", b"5", b"null", b"{", b"\xff\xfe", b'"x"', b"[" * 500000,
        b'{"report":{"machines":[],"x":' + deep[:200000] + deep[-200000:] + b"}}",
        b'{"report":5}', b'{"report":{"machines":5}}', b'{"report":{"machines":[5,[],{"name":{}}]}}',
        b'{"outcomes":[{"order":"x","succeeded":5}]}', b'{"outcomes":5}', b'{"running":{"a":1}}',
        b'{"running":[{"order":-1,"machine":"w"}]}', b'{"running":[{"order":1e99,"machine":"w"}]}',
        b'{"running":[{"order":1,"machine":"\\u0000"}]}', b'{"running":[{"order":1,"machine":[]}]}',
        json.dumps({"running": [{"order": i, "machine": f"m{i}"} for i in range(5000)]}).encode(),
        json.dumps({"report": {"machines": [], "libvirt_problem": "x" * 500000}}).encode(),
        b'{"x":"' + b"y" * 1100000 + b'"}',
    ]
    routes = ["/api/v1/agent/poll", "/api/v1/agent/renew", "/api/v1/enroll"]
    seen = {}
    for route in routes:
        for body in bodies:
            status = ask("POST", route, body)
            seen[status] = seen.get(status, 0) + 1
            if status not in (200, 400, 403, 413, 429, 0):
                sys.exit(f"{route} with {body[:60]!r} gave {status}")
            time.sleep(0.05)
    print("polls:", seen)


def claims():
    number, seen = 0, {}
    while time.monotonic() < end:
        running = [{"order": random.randrange(1, 1 << 62), "machine": name}
                   for name in ["web", "db", "a", "b", "c", "d", "e", "f", "g", "h"]]
        status = ask("POST", "/api/v1/agent/poll", json.dumps({"running": running}).encode())
        seen[status] = seen.get(status, 0) + 1
        number += 1
    print("claims:", number, seen)
    if not seen.get(200):
        sys.exit("no claim was heard")


def names():
    for part in range(6):
        machines = [{"name": f"new-{part}-{i}"} for i in range(1900)]
        body = json.dumps({"report": {"version": "1", "machines": machines}}).encode()
        print("names:", ask("POST", "/api/v1/agent/poll", body))


def frames():
    plan = text("own") + struct.pack("<I", 1) + text("vda") + struct.pack("<QB", 1 << 20, 0)
    attacks = [
        b"\xff" * 4096, frame(200), frame(HELLO, size=1 << 31), HELLO_FRAME + frame(COMMIT),
        HELLO_FRAME + frame(QUERY, text("web" * 90)), HELLO_FRAME + frame(QUERY, b"\xff\xff\xff\xff"),
        HELLO_FRAME + frame(QUERY, text("web\n")), HELLO_FRAME + frame(OPEN, b"\x00" * 17000),
        HELLO_FRAME + frame(OPEN, text("x") + struct.pack("<I", 0xffffffff)),
        HELLO_FRAME + frame(OPEN, text("x") + struct.pack("<I", 1) + text("vda") + struct.pack("<QB", 2**63, 0)),
        HELLO_FRAME + frame(OPEN, plan) + frame(OFFER, b"\xff" * 100),
        HELLO_FRAME + frame(OPEN, plan) + frame(OFFER, struct.pack("<QIIQQ", 1 << 60, 0, 1, 0, 1) + b"x" * 32),
        HELLO_FRAME + frame(OPEN, plan) + frame(DATA, struct.pack("<QIB3x", 0, 0, 1) + b"x" * 100),
        HELLO_FRAME + frame(OPEN, plan) + frame(COMMIT, b"\x00" * 50),
        HELLO_FRAME + frame(ERROR, text("busy") + text("\x1b[2Jyou are hacked")),
        HELLO_FRAME + frame(QUERY, text("own")) * 200,
    ]
    for attack in attacks:
        stream, status = upgrade()
        if stream is None:
            print("frames: refused with", status)
            time.sleep(1)
            continue
        try:
            stream.settimeout(20)
            stream.sendall(attack)
            while stream.recv(65536):
                pass
        except OSError:
            pass
        stream.close()
        time.sleep(0.1)
    print("frames:", len(attacks))


def pings():
    """Holds as many sessions open as it gets, with PINGs alone."""
    held, refused = [], 0
    while time.monotonic() < end:
        if len(held) < 20 and refused < 30:
            stream, status = upgrade()
            if stream is None:
                refused += 1
            else:
                stream.sendall(HELLO_FRAME)
                held.append(stream)
        for stream in list(held):
            try:
                stream.sendall(frame(PING))
            except OSError:
                held.remove(stream)
        time.sleep(0.2)
    print("pings:", len(held), "held,", refused, "refused")
    if len(held) > 4:
        sys.exit("one host holds more than its sessions")


def strangers():
    """A crowd that says nothing, without a certificate."""
    crowd = []
    while time.monotonic() < end:
        try:
            crowd.append(socket.create_connection((address, port), timeout=1, source_address=SOURCE))
        except OSError:
            time.sleep(0.1)
        crowd = crowd[-400:]
        time.sleep(0.01)
    print("strangers:", len(crowd))


globals()[mode]()
