"""What the tests of revocation from outside share: an issuer of signed tokens, and a proxy that heeds them."""
import base64
import http.client
import json
import os
import subprocess
import tempfile
import time
import urllib.parse

from harness import BINARY, TIMEOUT, Wire, eventually, free_port
from sealed import SPACE, SealedCase

try:
    from cryptography.hazmat.primitives import hashes, hmac
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
except ImportError:
    pass

RULES = 'seal = "require"\nblind_keys = true\nrevocable = true\n'
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
ISSUER, AUDIENCE = "https://idp.example", "shop"


def coded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n):
    return coded(n.to_bytes((n.bit_length() + 7) // 8, "big"))


class Issuer:
    def __init__(self):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.stranger = rsa.generate_private_key(65537, 2048)

    def jwks(self):
        r, e = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "kid": "r", "use": "sig", "n": number(r.n), "e": number(r.e)},
                         {"kty": "EC", "kid": "e", "crv": "P-256", "x": coded(e.x.to_bytes(32, "big")), "y": coded(e.y.to_bytes(32, "big"))},
                         {"kty": "EC", "kid": "k", "crv": "secp256k1", "x": coded(b"x" * 32), "y": coded(b"y" * 32)},
                         {"kty": "oct", "kid": "s", "k": coded(b"secret" * 8)}]}

    def token(self, alg="RS256", kid="r", key=None, crit=None, **claims):
        body = {"iss": ISSUER, "aud": AUDIENCE, "iat": int(time.time()), "jti": "1", "sub": "user42", "events": {LOGOUT: {}}, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        text = coded(json.dumps({"alg": alg, "kid": kid, **({"crit": crit} if crit else {})}).encode()) + "." + coded(json.dumps(body).encode())
        data = text.encode()
        if alg == "RS256":
            mark = (key or self.rsa).sign(data, padding.PKCS1v15(), hashes.SHA256())
        elif alg == "PS256":
            mark = self.rsa.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        elif alg == "ES256":
            r, s = decode_dss_signature(self.ec.sign(data, ec.ECDSA(hashes.SHA256())))
            mark = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        elif alg == "HS256":
            mac = hmac.HMAC(key, hashes.SHA256())
            mac.update(data)
            mark = mac.finalize()
        else:
            mark = b""
        return text + "." + coded(mark)


class RevokeCase(SealedCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.node = self.memcached()
        self.port = free_port()

    def start(self, more="", admin=""):
        self.front = self.sealed([self.node], rules=RULES, more=f'[admin]\nlisten = {self.port}\n{admin}\n{more}')
        self.client = self.wire(self.front)
        eventually(lambda: self.post("/nowhere", b"", {})[0] == 404)

    def written(self, name, text, mode=0o600):
        path = os.path.join(self.folder.name, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def post(self, path, body, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()

    def at_port(self):
        wire = Wire(self.port)
        self.addCleanup(wire.close)
        return wire

    def revoke(self, body, **headers):
        return self.post("/revoke", body if isinstance(body, bytes) else json.dumps(body).encode(),
                         {"Content-Type": "application/json", **headers})

    def fill(self, user="user42"):
        key = SPACE + b"{%s}:s" % user.encode()
        self.client.set(key, b"v")
        self.assertEqual(self.client.get(key), b"v")
        return key

    def table(self, *spaces):
        """Of an issuer, whose tokens revoke in these namespaces."""
        self.issuer = Issuer()
        jwks = self.written("jwks.json", json.dumps(self.issuer.jwks()), 0o644)
        return (f'[revocation]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks_file = "{jwks}"\n'
                f'namespaces = {json.dumps(spaces)}\n')

    def signed(self):
        self.start(more=self.table(SPACE.decode()))

    def tokenring(self, command, *arguments):
        """What the command line says of the proxy: (exit code, output, errors)"""
        done = subprocess.run([BINARY, command, "--listen", self.front.address, *arguments],
                              capture_output=True, text=True, timeout=8 * TIMEOUT, check=False)
        return done.returncode, done.stdout, done.stderr

    def logout_of(self, token):
        body = urllib.parse.urlencode({"logout_token": token}).encode()
        return self.post("/logout", body, {"Content-Type": "application/x-www-form-urlencoded"})

    def event_of(self, token):
        return self.post("/logout", token.encode(), {"Content-Type": "application/secevent+jwt"})

    def logout(self, token):
        return self.logout_of(token)[0]

    def event(self, token):
        return self.event_of(token)[0]
