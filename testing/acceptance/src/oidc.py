"""An OpenID provider: discovery, keys that can be rotated, and ID tokens signed by openssl.

/token?nonce=…&sub=…[&groups=ONE,TWO][&aud=…][&exp=SECONDS][&alg=none] gives an ID token as it is, /rotate makes a new key. A browser is
sent from /authorize to where it came from with a code (RFC 6749 §4.1, RFC 7636): whoever asks is "ann".
"""

import base64
import hashlib
import http.server
import json
import os
import subprocess
import sys
import time
import urllib.parse

directory, audience = sys.argv[1], sys.argv[2]
count = 0
codes = {}


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
    if "groups" in asked:
        claims["groups"] = asked["groups"].split(",")
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
                places = {"authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/code"}
                self.say(json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/keys"} | places))
            case "/keys":
                self.say(json.dumps({"keys": [jwk()]}))
            case "/token":
                self.say(sign(issuer, asked))
            case "/authorize":
                code = text(os.urandom(16))
                codes[code] = asked
                back = urllib.parse.urlencode({"code": code, "state": asked["state"]})
                self.send_response(302)
                self.send_header("location", f"{asked['redirect_uri']}?{back}")
                self.send_header("content-length", "0")
                self.end_headers()
            case "/rotate":
                rotate()
                self.say("done")
            case _:
                self.send_error(404)

    def do_POST(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        asked = codes.pop(form["code"])
        proof = text(hashlib.sha256(form["code_verifier"].encode()).digest())
        if self.path != "/code" or proof != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            self.send_error(400)
            return
        self.say(json.dumps({"id_token": sign(issuer, {"nonce": asked["nonce"], "sub": "ann", "aud": form["client_id"]})}))

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
