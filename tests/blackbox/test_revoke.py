"""Revocation from outside: over HTTP, by signed tokens, from the command line."""
import json
import subprocess
import threading
import time
import unittest

from harness import BINARY, TIMEOUT, free_port
from revoking import AUDIENCE, ISSUER, REVOKED, RevokeCase, number
from sealed import SPACE, envelope

try:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    pass


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Revoke(RevokeCase):
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
        form = '{"namespace": "PREFIX", "group": "NAME"}, both strings'
        for body, why in (({}, f"give {form}"), (["x"], f"give {form}"),
                          *(({"groups": groups}, f'give "groups" a list, of which each element is {form}')
                            for groups in (["user42"], [good, 7], [{"group": "user42"}], "user42", good))):
            self.assertEqual(json.loads(self.revoke(body)[1])["description"], why, body)
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

    def test_asked_while_the_proxy_starts(self):
        """The port may be open before the workers are; whoever asks then is answered too."""
        body = {"namespace": SPACE.decode(), "group": "user42"}
        for _ in range(5):
            answers = []

            def ask(ends):
                while not answers and time.monotonic() < ends:
                    status = self.revoke(body)[0]
                    if status:
                        answers.append(status)

            self.port = free_port()
            asks = threading.Thread(target=ask, args=(time.monotonic() + 4 * TIMEOUT,))
            asks.start()
            try:
                self.start()
            finally:
                asks.join()
            self.assertEqual(answers, [200])

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

    def test_what_is_not_there_names_what_is(self):
        self.start()
        self.assertEqual(self.post("/logout", b"logout_token=x", {}), (404, "there is POST /revoke\n"))

    def test_what_is_not_there_names_logout_where_it_is(self):
        self.signed()
        self.assertEqual(self.post("/nope", b"", {}), (404, "there is POST /revoke and POST /logout\n"))
        wire = self.at_port()
        wire.send(b"GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(b"/readyz, and POST /revoke and POST /logout\n", wire.until(b"logout\n"))

    def test_tokens_of_the_issuer(self):
        self.signed()
        subject = {"format": "iss_sub", "iss": ISSUER, "sub": "user42"}
        for token in ({}, {"alg": "PS256"}, {"alg": "ES256", "kid": "e"}, {"aud": ["other", AUDIENCE]}):
            key = self.fill()
            self.assertEqual(self.logout(self.issuer.token(**token)), 200, token)
            self.assertIsNone(self.client.get(key), token)
        for token in ({"events": {REVOKED: {}}}, {"events": {REVOKED: {}}, "sub": None, "sub_id": subject},
                      {"events": {REVOKED: {"subject": subject}}, "sub": None}):
            key = self.fill()
            self.assertEqual(self.event_of(self.issuer.token(**token)), (202, ""), token)  # RFC 8935, 2.2.
            self.assertIsNone(self.client.get(key), token)
        other = {**subject, "iss": "https://other.example"}  # Their user42 is not ours.
        for token in ({"events": {REVOKED: {}}, "sub_id": other}, {"events": {REVOKED: {"subject": other}}}):
            key = self.fill()
            self.assertEqual(self.event_of(self.issuer.token(sub=None, **token))[0], 400, token)
            self.assertEqual(self.client.get(key), b"v", token)

    def test_what_a_sender_of_events_is_told(self):
        """RFC 8935, 2.4; to a logout token all is invalid_request."""
        self.signed()
        key, sign = self.fill(), self.issuer.token
        for token, code in (("x", "invalid_request"), (sign(events=None), "invalid_request"), (sign(iat=1), "invalid_request"),
                            (sign(crit=["b64"]), "invalid_request"),
                            (sign(iss="https://other.example"), "invalid_issuer"), (sign(iss=None), "invalid_issuer"),
                            (sign(aud="other"), "invalid_audience"), (sign(aud=None), "invalid_audience"),
                            (sign(kid="unknown"), "invalid_key"), (sign(alg="none"), "invalid_key"),
                            (sign(key=self.issuer.stranger), "authentication_failed")):
            status, text = self.event_of(token)
            self.assertEqual((status, json.loads(text)["err"]), (400, code))
            self.assertGreater(len(json.loads(text)["description"]), 5)
            status, text = self.logout_of(token)
            self.assertEqual((status, json.loads(text)["error"]), (400, "invalid_request"))
        self.assertEqual(self.client.get(key), b"v")
        self.node.freeze()
        status, text = self.event_of(sign(events={REVOKED: {}}))
        self.assertEqual((status, json.loads(text)["err"]), (502, "not_revoked"))
        self.node.thaw()

    def test_tokens_of_nobody(self):
        self.signed()
        key, now, sign = self.fill(), int(time.time()), self.issuer.token
        public = self.issuer.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        good = sign()
        for token in ("", "x", "a.b.c", good[:-2] + ("AA" if not good.endswith("AA") else "BB"), good.rsplit(".", 1)[0] + ".", good[:-1], good[:-2] + "=", good[1:], good[:9] + "=" + good[9:],
                      good[:-7] + "=" + good[-6:], good[:-6] + "=" + good[-5:], good[:-5] + "=" + good[-4:],
                      sign(key=self.issuer.stranger), sign(alg="none"), sign(alg="HS256", key=public), sign(alg="HS256", kid="s", key=b"secret" * 8),
                      sign(iss="https://other.example"), sign(aud="other"), sign(aud=None), sign(iat=None), sign(iat=now + 1000), sign(iat=now - 4000),
                      sign(exp=now - 1000), sign(nonce="n"), sign(events=None), sign(events={"urn:other": {}}), sign(sub=None), sign(sub="a b"),
                      sign(sub=7), sign(kid="e")):
            self.assertEqual(self.logout(token), 400, token[:60])
            self.assertEqual(self.event(token), 400, token[:60])
        self.assertEqual(self.client.get(key), b"v")
        # A reload brings other keys, and a file that is none changes nothing.
        short = {"kty": "RSA", "n": number((1 << 1024) - 1), "e": "AQAB"}
        for text, code in (("{}", 1), (json.dumps({"keys": []}), 1), (json.dumps({"keys": [short]}), 1), (json.dumps(self.issuer.jwks()), 0)):
            self.written("jwks.json", text, 0o644)
            done = subprocess.run([BINARY, "reload", "--listen", self.front.address], capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual("jwks_file" in done.stderr, code == 1)
        self.assertEqual(self.logout(good), 200)
        self.assertIsNone(self.client.get(key))


if __name__ == "__main__":
    unittest.main()
