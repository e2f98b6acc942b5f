#!/usr/bin/env python3
"""What a thief does who has an agent's certificate and key, and wants to read points. For 92-restore-to-host.sh.

reading_thief.py ADDRESS PORT CERTIFICATE KEY guess|ticket|polls [TICKET]

guess tries tickets and messages of every kind; ticket tries one that was somebody's; polls asks for orders and
looks for tickets. Fails when anything but a refusal comes back.
"""
import json
import os
import socket
import ssl
import struct
import sys

address, port, certificate, key, mode = sys.argv[1:6]
HELLO, WELCOME, DATA, ERROR = 1, 2, 9, 15
READ_POINT, POINT, LIST_CHUNKS, CHUNKS, GET_CHUNKS = 18, 19, 20, 21, 22


def connect():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context.wrap_socket(socket.create_connection((address, int(port)), timeout=20))


def frame(kind, payload=b""):
    return struct.pack("<IB3x", len(payload), kind) + payload


def session(*frames):
    """The types of the frames that come back after HELLO and these; none if the upgrade is refused."""
    with connect() as stream:
        stream.sendall(b"GET /api/v1/transfer HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                       b"Upgrade: muletto-transfer\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            part = stream.recv(1)
            if not part:
                return []
            head += part
        if b" 101 " not in head.split(b"\r\n")[0]:
            return []
        hello = b"MULETTO\n" + struct.pack("<HHI", 1, 3, 5) + b"thief"
        answer = b""
        try:
            stream.sendall(frame(HELLO, hello) + b"".join(frames))
            while part := stream.recv(65536):
                answer += part
                if len(answer) > 1 << 20:
                    break
        except OSError:
            pass
    kinds = []
    while len(answer) >= 8:
        size, kind = struct.unpack("<IB3x", answer[:8])
        kinds.append(kind)
        answer = answer[8 + size:]
    return kinds


def refused(*frames):
    kinds = session(*frames)
    if any(kind not in (WELCOME, ERROR) for kind in kinds):
        sys.exit(f"answered with frames of the types {kinds}")
    print("refused:", kinds)


def polls():
    body = json.dumps({"restores": [{"order": n, "state": "running"} for n in range(200)]}).encode()
    with connect() as stream:
        stream.sendall(b"POST /api/v1/agent/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                       b"Connection: close\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        answer = b""
        while part := stream.recv(65536):
            answer += part
    if b"ticket" in answer:
        sys.exit("another host's ticket was given away")
    print("no ticket in", len(answer), "bytes")


if mode == "polls":
    polls()
elif mode == "ticket":
    refused(frame(READ_POINT, bytes.fromhex(sys.argv[6])))
else:
    for ticket in (bytes(32), b"\xff" * 32, os.urandom(32), b"", b"x" * 31, b"x" * 33):
        refused(frame(READ_POINT, ticket))
    refused(frame(LIST_CHUNKS, struct.pack("<QIQI", 0, 0, 0, 1)))
    refused(frame(GET_CHUNKS, struct.pack("<QIIQ", 0, 0, 1, 0)))
    refused(frame(POINT, b""))
    refused(frame(READ_POINT, os.urandom(32)), frame(GET_CHUNKS, struct.pack("<QIIQ", 0, 0, 1, 0)))
