# A web server that signs people in by HTTP Negotiate (RFC 4559) with Debian's python3-gssapi, and knows of no mechanism.
import base64
import gssapi
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    context = None

    def log_message(self, *arguments):
        pass

    def answer(self, code, text, negotiate=None):
        print(code, "with" if "Authorization" in self.headers else "without", text, flush=True)
        body = (text + "\n").encode()
        self.send_response(code)
        if negotiate is not None:
            self.send_header("WWW-Authenticate", negotiate)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        if word != "Negotiate":
            return self.answer(401, "sign in", "Negotiate")
        context = self.context or gssapi.SecurityContext(usage="accept")
        self.context = None
        try:
            out = context.step(base64.b64decode(token))
            complete = context.complete
        except gssapi.exceptions.GSSError as error:
            return self.answer(403, str(error))
        negotiate = "Negotiate " + base64.b64encode(out).decode() if out else "Negotiate"
        if not complete:
            self.context = context
            return self.answer(401, "go on", negotiate)
        self.answer(200, f"hello {context.initiator_name} by {context.mech}", negotiate)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
