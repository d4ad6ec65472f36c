"""A web server that gives the files of a directory and takes others (PUT), by HTTP/1.1 with connections that are kept.

    storage.py DIRECTORY [unix PATH | tls CERTIFICATE KEY]

Each connection is told on standard output. One that breaks off in the middle of a file leaves what came.
"""

import http.server
import socket
import socketserver
import ssl
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        print("connection", flush=True)
        super().setup()

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        with open(self.translate_path(self.path), "wb") as file:
            while left:
                part = self.rfile.read1(min(left, 1 << 16))
                if not part:
                    self.close_connection = True
                    return
                file.write(part)
                left -= len(part)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024

    def handle_error(self, *_):
        """A client that is gone is no news."""


class UnixServer(Server):
    address_family = socket.AF_UNIX
    server_bind = socketserver.TCPServer.server_bind


directory, *place = sys.argv[1:]
handler = lambda *arguments: Handler(*arguments, directory=directory)
if place[:1] == ["unix"]:
    server = UnixServer(place[1], handler)
    print("at port 0", flush=True)
else:
    server = Server(("127.0.0.1", 0), handler)
    if place[:1] == ["tls"]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*place[1:])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("at port", server.server_address[1], flush=True)
with server:
    server.serve_forever()
