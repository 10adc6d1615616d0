"""Revocation from outside: over HTTP, by signed tokens, from the command line."""
import base64
import http.client
import json
import os
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from harness import BINARY, Wire, eventually, free_port
from sealed import SPACE, SealedCase, envelope

try:
    from cryptography.hazmat.primitives import hashes, hmac
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
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
                         {"kty": "oct", "kid": "s", "k": coded(b"secret" * 8)}]}

    def token(self, alg="RS256", kid="r", key=None, **claims):
        body = {"iss": ISSUER, "aud": AUDIENCE, "iat": int(time.time()), "jti": "1", "sub": "user42", "events": {LOGOUT: {}}, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        text = coded(json.dumps({"alg": alg, "kid": kid}).encode()) + "." + coded(json.dumps(body).encode())
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


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Revoke(SealedCase):
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

    def test_json(self):
        self.start()
        mine, other = self.fill(), self.fill("user43")
        status, text = self.revoke({"namespace": SPACE.decode(), "group": "user42"})
        self.assertEqual((status, json.loads(text)), (200, {"revoked": 1}))
        self.assertEqual([self.client.get(mine), self.client.get(other)], [None, b"v"])
        mine = self.fill()
        groups = [{"namespace": SPACE.decode(), "group": name} for name in ("user42", "user43")]
        self.assertEqual(json.loads(self.revoke({"groups": groups})[1]), {"revoked": 2})
        self.assertEqual([self.client.get(mine), self.client.get(other)], [None, None])

    def test_what_is_wrong_revokes_nothing(self):
        self.start()
        key = self.fill()
        good = {"namespace": SPACE.decode(), "group": "user42"}
        for body in (b"", b"{", b"[]", b"1", {"namespace": SPACE.decode()}, {"namespace": "other:", "group": "user42"},
                     {"namespace": SPACE.decode(), "group": ""}, {"namespace": SPACE.decode(), "group": "a b"},
                     {"namespace": SPACE.decode(), "group": "a}b"}, {"namespace": SPACE.decode(), "group": 7},
                     {"groups": []}, {"groups": [good] * 101}, {"groups": [good, {}]}, {"namespace": SPACE.decode(), "group": "x\r\nflush_all"}):
            status, text = self.revoke(body)
            self.assertEqual(status, 400, body)
            self.assertIn("err", json.loads(text))
        self.assertEqual(self.post("/revoke", json.dumps(good).encode(), {"Content-Type": "text/plain"})[0], 400)
        self.assertEqual(self.revoke(good, Host="evil.example")[0], 403)
        self.assertEqual(self.post("/logout", b"logout_token=x", {"Content-Type": "application/x-www-form-urlencoded"})[0], 404)
        self.assertEqual(self.client.get(key), b"v")

    def test_the_port_asks_for_its_token(self):
        path = self.written("token", "0123456789abcdef\n")
        self.start(admin=f'token_file = "{path}"\n')
        key = self.fill()
        good = {"namespace": SPACE.decode(), "group": "user42"}
        self.assertEqual(self.revoke(good)[0], 401)
        self.assertEqual(self.revoke(good, Authorization="Bearer 0123456789abcdee")[0], 401)
        self.assertEqual(self.client.get(key), b"v")
        self.assertEqual(self.revoke(good, Authorization="Bearer 0123456789abcdef")[0], 200)
        self.assertIsNone(self.client.get(key))

    def test_what_no_node_acknowledged_is_an_error(self):
        self.start()
        self.fill()
        self.node.freeze()
        status, text = self.revoke({"namespace": SPACE.decode(), "group": "user42"})
        self.assertEqual(status, 502)
        self.assertIn("SERVER_ERROR", text)
        self.node.thaw()

    def test_heads_and_bodies(self):
        self.start()
        body = json.dumps({"namespace": SPACE.decode(), "group": "user42"}).encode()
        head = b"POST /revoke HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: Application/JSON; charset=utf-8\r\n"
        for request, status in ((head + b"Content-Length: %d\r\n\r\n" % len(body) + body, b"200"),
                                (head + b"content-length:%d \r\n\r\n" % len(body) + body, b"200"),
                                (head + b"\r\n" + body, b"411"), (head + b"Content-Length: x\r\n\r\n" + body, b"411"),
                                (head + b"Content-Length: -1\r\n\r\n" + body, b"411"),
                                (head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + body, b"411"),
                                (head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
                                (head + b"Content-Length: 999999\r\n\r\n" + b"x" * 70000, b"413"),
                                (b"PUT" + head[4:] + b"Content-Length: 0\r\n\r\n", b"405")):
            wire = self.at_port()
            try:
                wire.send(request)
                self.assertEqual(wire.until(b"\r\n").split()[1], status, request[:200])
            except ConnectionError:
                self.assertEqual(status, b"413")
        wire = self.at_port()
        for byte in head + b"Content-Length: %d\r\n\r\n" % len(body) + body:
            wire.send(bytes([byte]))
        self.assertEqual(wire.until(b"\r\n").split()[1], b"200")

    def test_the_command_line(self):
        self.start()
        key = self.fill()

        def run(*arguments):
            return subprocess.run([BINARY, "revoke", "--listen", self.front.address, *arguments], capture_output=True, text=True, timeout=30, check=False)
        for wrong in (key.decode(), "nowhere:{user42}", SPACE.decode() + "{}", SPACE.decode() + "{user42}x"):
            done = run(wrong)
            self.assertEqual((done.returncode, done.stdout), (1, ""), wrong)
        self.assertEqual(self.client.get(key), b"v")
        done = run(SPACE.decode() + "{user42}")
        self.assertEqual((done.returncode, done.stdout), (0, "ok: revoked\n"), done.stderr)
        self.assertIsNone(self.client.get(key))
        self.node.freeze()
        done = run(SPACE.decode() + "{user42}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SERVER_ERROR", done.stderr)
        self.node.thaw()

    def signed(self):
        self.issuer = Issuer()
        jwks = self.written("jwks.json", json.dumps(self.issuer.jwks()), 0o644)
        self.start(more=f'[revocation]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks_file = "{jwks}"\nnamespaces = ["{SPACE.decode()}"]\n')

    def logout(self, token):
        body = urllib.parse.urlencode({"logout_token": token}).encode()
        return self.post("/logout", body, {"Content-Type": "application/x-www-form-urlencoded"})[0]

    def event(self, token):
        return self.post("/logout", token.encode(), {"Content-Type": "application/secevent+jwt"})[0]

    def test_tokens_of_the_issuer(self):
        self.signed()
        subject = {"format": "iss_sub", "iss": ISSUER, "sub": "user42"}
        for send, token in ((self.logout, {}), (self.logout, {"alg": "PS256"}), (self.logout, {"alg": "ES256", "kid": "e"}),
                            (self.logout, {"aud": ["other", AUDIENCE]}), (self.event, {"events": {REVOKED: {}}}),
                            (self.event, {"events": {REVOKED: {}}, "sub": None, "sub_id": subject}),
                            (self.event, {"events": {REVOKED: {"subject": subject}}, "sub": None})):
            key = self.fill()
            self.assertEqual(send(self.issuer.token(**token)), 200, token)
            self.assertIsNone(self.client.get(key), token)

    def test_tokens_of_nobody(self):
        self.signed()
        key, now, sign = self.fill(), int(time.time()), self.issuer.token
        public = self.issuer.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        good = sign()
        for token in ("", "x", "a.b.c", good[:-2] + ("AA" if not good.endswith("AA") else "BB"), good.rsplit(".", 1)[0] + ".",
                      sign(key=self.issuer.stranger), sign(alg="none"), sign(alg="HS256", key=public), sign(alg="HS256", kid="s", key=b"secret" * 8),
                      sign(iss="https://other.example"), sign(aud="other"), sign(aud=None), sign(iat=None), sign(iat=now + 1000), sign(iat=now - 4000),
                      sign(exp=now - 1000), sign(nonce="n"), sign(events=None), sign(events={"urn:other": {}}), sign(sub=None), sign(sub="a b"),
                      sign(sub=7), sign(kid="e")):
            self.assertEqual(self.logout(token), 400, token[:60])
            self.assertEqual(self.event(token), 400, token[:60])
        self.assertEqual(self.client.get(key), b"v")
        # A reload brings other keys, and a file that is none changes nothing.
        for text, code in (("{}", 1), (json.dumps({"keys": []}), 1), (json.dumps(self.issuer.jwks()), 0)):
            self.written("jwks.json", text, 0o644)
            done = subprocess.run([BINARY, "reload", "--listen", self.front.address], capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual("jwks_file" in done.stderr, code == 1)
        self.assertEqual(self.logout(good), 200)
        self.assertIsNone(self.client.get(key))


if __name__ == "__main__":
    unittest.main()
