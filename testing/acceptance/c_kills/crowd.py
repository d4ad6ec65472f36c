"""Many connections at once to applications that say everything again; each says lines and compares what comes back.

    crowd.py CONNECTIONS LINES_A_SECOND PLACE... [CA CERTIFICATE KEY]

A PLACE is `tcp:PORT` or `tls:PORT:NAME`; connections are dealt out to them in turn. Commands come on standard input:
`round` is answered when each connection has said and heard a line that was begun after it, `stop` ends all. Each is
answered by one line of JSON. A connection that fails is told there and takes no part any more.
"""

import asyncio
import json
import random
import ssl
import sys
import time

count, rate = int(sys.argv[1]), float(sys.argv[2])
places = [a.split(":") for a in sys.argv[3:] if a.startswith(("tcp:", "tls:"))]
files = sys.argv[3 + len(places) :]
failed = []
begun = [0.0] * count
lines = [0] * count
longest = 0.0
stopping = False


async def connect(place):
    if place[0] == "tcp":
        return await asyncio.open_connection("127.0.0.1", int(place[1]))
    context = ssl.create_default_context(cafile=files[0])
    context.load_cert_chain(files[1], files[2])
    return await asyncio.open_connection(
        "127.0.0.1", int(place[1]), ssl=context, server_hostname=place[2], ssl_handshake_timeout=60
    )


async def talk(number, at_once, there):
    global longest
    try:
        async with at_once:
            reader, writer = await connect(places[number % len(places)])
        while not stopping:
            text = random.randbytes(random.randrange(1500)).hex()
            said = f"{number} {lines[number]} {text}\n".encode()
            start = time.monotonic()
            writer.write(said)
            await writer.drain()
            heard = await reader.readexactly(len(said))
            if heard != said:
                raise ValueError("another line came back")
            longest = max(longest, time.monotonic() - start)
            lines[number] += 1
            begun[number] = start
            there.release()
            await asyncio.sleep(random.uniform(0, 2 * count / rate))
        writer.close()
        await writer.wait_closed()
    except Exception as error:
        failed.append(f"connection {number} after {lines[number]} lines: {error!r}")
        begun[number] = float("inf")
        there.release()


def tell(what):
    told = {"said": what, "connections": count, "lines": sum(lines), "longest_ms": int(longest * 1000), "failed": failed}
    print(json.dumps(told), flush=True)


async def commands():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def main():
    global longest, stopping
    at_once, there = asyncio.Semaphore(20), asyncio.Semaphore(0)
    talks = [asyncio.create_task(talk(n, at_once, there)) for n in range(count)]
    typed = await commands()

    async def round(since):
        while min(begun) < since:
            await there.acquire()

    await round(sys.float_info.min)
    longest = 0.0
    tell("ready")
    while command := (await typed.readline()).decode().strip():
        if command == "stop":
            stopping = True
            await asyncio.gather(*talks)
        else:
            await round(time.monotonic())
        tell(command)
        if stopping:
            return


asyncio.run(main())
