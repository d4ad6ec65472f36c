"""A web server that gives the files of a directory and takes others (PUT), by HTTP/1.1 with connections that are kept.

Each connection is told on standard output. One that breaks off in the middle of a file leaves what came.
"""

import http.server
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


handler = lambda *arguments: Handler(*arguments, directory=sys.argv[1])
with Server(("127.0.0.1", 0), handler) as server:
    print("at port", server.server_address[1], flush=True)
    server.serve_forever()
