"""An OpenID provider: discovery, keys that can be rotated, and ID tokens signed by openssl.

/token?nonce=…&sub=…[&aud=…][&exp=SECONDS][&alg=none] gives an ID token as it is, /rotate makes a new key.
"""

import base64
import http.server
import json
import os
import subprocess
import sys
import time
import urllib.parse

directory, audience = sys.argv[1], sys.argv[2]
count = 0


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key():
    return f"{directory}/key{count}.pem"


def rotate():
    global count
    count += 1
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    subprocess.run([*make, "-out", key()], check=True, capture_output=True)


def jwk():
    said = subprocess.run(["openssl", "rsa", "-in", key(), "-noout", "-modulus"], check=True, capture_output=True)
    modulus = bytes.fromhex(said.stdout.decode().strip().split("=")[1])
    return {"kty": "RSA", "kid": str(count), "use": "sig", "alg": "RS256", "n": text(modulus), "e": "AQAB"}


def sign(issuer, asked):
    now = int(time.time())
    header = {"alg": asked.get("alg", "RS256"), "kid": str(count), "typ": "JWT"}
    claims = {"iss": issuer, "sub": asked["sub"], "aud": asked.get("aud", audience), "nonce": asked["nonce"]}
    expires = now + int(asked.get("exp", "300"))
    claims |= {"iat": min(now, expires - 60), "exp": expires}
    signed = ".".join(text(json.dumps(part).encode()) for part in (header, claims))
    if header["alg"] == "none":
        return signed + "."
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", key()], input=signed.encode(), check=True, capture_output=True
    )
    return signed + "." + text(done.stdout)


class Provider(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        place = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(place.query))
        match place.path:
            case "/.well-known/openid-configuration":
                self.say(json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/keys"}))
            case "/keys":
                self.say(json.dumps({"keys": [jwk()]}))
            case "/token":
                self.say(sign(issuer, asked))
            case "/rotate":
                rotate()
                self.say("done")
            case _:
                self.send_error(404)

    def say(self, body):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


while os.path.exists(f"{directory}/key{count + 1}.pem"):
    count += 1
if count == 0:
    rotate()
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Provider)
print(f"listens on port {server.server_port}", flush=True)
server.serve_forever()
