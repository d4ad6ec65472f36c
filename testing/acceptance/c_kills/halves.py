"""A TLS client that goes on in one direction after the other has ended; Python's `ssl` alone does not, its OpenSSL does.

    halves.py client-first|application-first 1.2|1.3 BYTES PORT NAME CA CERTIFICATE KEY

`client-first` sends BYTES and close_notify, and gets all of it back only then; `application-first` waits for the
application's end, and sends BYTES after it. In the middle it says `half`, and goes on after a line on standard input.
"""

import socket
import ssl
import sys

mode, version, length, port, name, authority, certificate, key = sys.argv[1:]
length = int(length)
context = ssl.create_default_context(cafile=authority)
context.load_cert_chain(certificate, key)
context.minimum_version = context.maximum_version = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}[version]
wire = socket.create_connection(("127.0.0.1", int(port)))
came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(came, goes, server_hostname=name)


def send():
    wire.sendall(goes.read())


def step(operation):
    """Repeats an operation until it needs nothing more of the wire."""
    while True:
        try:
            done = operation()
            send()
            return done
        except ssl.SSLWantReadError:
            send()
            part = wire.recv(1 << 16)
            if part:
                came.write(part)
            else:
                came.write_eof()


def read():
    try:
        return tls.read(1 << 16)
    except ssl.SSLZeroReturnError:
        return b""


def middle():
    print("half", flush=True)
    if not sys.stdin.readline():
        sys.exit("told nothing")


body = b"".join(n.to_bytes(8, "big") for n in range(length // 8))
step(tls.do_handshake)
if mode == "client-first":
    for at in range(0, length, 1 << 16):
        step(lambda: tls.write(body[at : at + (1 << 16)]))
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    send()
    heard = step(read)
    middle()
    while part := step(read):
        heard += part
    assert heard == body, f"{len(heard)} bytes came back"
else:
    heard = b""
    while part := step(read):
        heard += part
    assert heard == b"so long\n", heard
    middle()
    for at in range(0, length, 1 << 16):
        step(lambda: tls.write(body[at : at + (1 << 16)]))
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    send()
    wire.shutdown(socket.SHUT_WR)
    while wire.recv(1 << 16):
        pass
