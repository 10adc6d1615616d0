"""What the audit log has of tokens that are asked about elsewhere and revoked from outside, and what it never has."""
import base64
import http.client
import json
import os
import unittest
import urllib.parse

from audited import AuditCase, found
from authority import SECRET, certificate
from harness import eventually, free_port
from sealed import SPACE, envelope
from test_introspection import IntrospectionCase
from revoking import AUDIENCE, ISSUER, Issuer


class Elsewhere(IntrospectionCase, AuditCase):
    def begin(self, rules="", gets=1, **more):
        self.path = os.path.join(self.folder(), "audit.jsonl")
        (wire,) = self.start(rules, more=f'[audit]\nfile = "{self.path}"\nsample_gets = {gets}\n', **more)
        return wire

    def requests(self, count):
        """(action, outcome, reason) of so many events that are of requests."""
        told = eventually(lambda: t if len(t := [e for e in self.events(self.path) if "tokenring.command" in e]) >= count
                          else None, what=f"{count} events")
        for event in told:
            self.check(event)
            self.assertEqual(event["source.ip"], "127.0.0.1")
        return [(e["event.action"], e["event.outcome"], e["event.reason"]) for e in told]

    def test_reads_say_how_they_were_answered(self):
        a = self.begin("revocable = true\n")
        self.says("no", {"active": False})
        self.authority.say["none"] = 500
        good = SPACE + b"{u1}:good"
        self.assertIsNotNone(a.get(good))
        eventually(lambda: self.tallies(a)["sealed"] == 1)
        self.assertIsNotNone(a.get(good))
        self.assertIsNotNone(a.get(SPACE + b"{u1}:no"))
        self.assertIsNone(a.get(SPACE + b"{u1}:none"))
        self.ask(a, b"delete %s{u1}\r\n" % SPACE, b"DELETED\r\n")
        self.says("good", {"active": False})
        self.assertIsNotNone(a.get(good))
        # Not a word of what the proxy itself stored.
        self.assertEqual(self.requests(7), [
            ("read", "success", "introspected"), ("read", "success", "hit"), ("read", "success", "introspected: inactive"),
            ("read", "failure", "no answer"), ("revoke", "success", "done"), ("read", "failure", "revoked"),
            ("read", "success", "introspected: inactive")])
        # As `stats` has it: what had to be asked for is no hit.
        self.assertEqual((self.tallies(a)["get_hits"], self.tallies(a)["get_misses"]), (1, 4))

    def test_who_guesses_tokens_is_told_of(self):
        a = self.begin(gets=0)
        inactive = {"active": False}
        for n in range(0, 1200, 50):
            for guess in range(n, n + 50):
                self.authority.say[f"guess{guess}"] = inactive
            a.send(b"".join(b"get %sguess%d\r\n" % (SPACE, guess) for guess in range(n, n + 50)))
            for _ in range(50):
                self.assertIn(b"false", a.until(b"END\r\n"))
        event = self.has(self.path, event_action="enumeration_suspected")[0]
        self.check(event)
        self.assertEqual(event["source.ip"], "127.0.0.1")
        self.assertGreater(event["tokenring.count"], 900)

    def test_good_tokens_are_no_guesses(self):
        a = self.begin(gets=0)
        for n in range(0, 1200, 50):
            a.send(b"".join(b"get %sgood%d\r\n" % (SPACE, good) for good in range(n, n + 50)))
            for _ in range(50):
                self.assertIn(b"true", a.until(b"END\r\n"))
        self.assertEqual(self.proxies[0].ask("reload")[0], 0)
        self.has(self.path, event_action="reload")
        self.assertEqual(self.events(self.path, event_action="enumeration_suspected"), [])

    def test_who_stands_where_the_server_should_is_told_of(self):
        stranger, _ = certificate(self.authority.folder.name, "stranger")
        a = self.begin(gets=0, ca=stranger)
        self.assertIsNone(a.get(SPACE + b"t"))
        event = self.has(self.path, event_action="introspect")[0]
        self.check(event)
        self.assertEqual((event["event.outcome"], event["event.reason"], event["tokenring.namespace"]),
                         ("failure", "untrusted", SPACE.decode()))

    def test_who_signs_in_the_servers_place_is_told_of(self):
        jwks = self.authority.file("jwks", json.dumps(Issuer().jwks()))
        a = self.begin(gets=0, endpoint=f'issuer = "https://auth.example"\njwks_file = "{jwks}"\n')
        header = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"token-introspection+jwt"}').rstrip(b"=")
        self.authority.say["t"] = (header + b".e30.AAAA", {"Content-Type": "application/token-introspection+jwt"})
        self.assertIsNone(a.get(SPACE + b"t"))
        event = self.has(self.path, event_action="introspect")[0]
        self.assertEqual((event["event.outcome"], event["event.reason"]), ("failure", "bad_signature"))

    def test_no_line_has_a_token_that_was_asked_about_or_the_secret(self):
        a = self.begin("revocable = true\n")
        secrets = [SECRET.encode(), base64.b64encode(SECRET.encode())]
        for n, said in enumerate(({"active": True}, {"active": False}, 500, b"{", {"active": True})):
            token = f"tok{n}." + base64.urlsafe_b64encode(os.urandom(24)).decode()
            tag = os.urandom(10).hex()
            claim = os.urandom(16).hex()
            self.authority.say[token] = {**said, "sub": claim} if isinstance(said, dict) else said
            for key in (token, f"{{{tag}}}:{token}"):
                a.get(SPACE + key.encode())
                a.command(b"mg %s%s v t\r\n" % (SPACE, key.encode()))
            a.command(b"delete %s{%s}\r\n" % (SPACE, tag.encode()))
            a.get(SPACE + f"{{{tag}}}:{token}".encode())
            secrets += [token.encode(), tag.encode(), claim.encode()]
        a.command(b"flush_all\r\n")
        self.has(self.path, event_action="flush")
        reasons = {e.get("event.reason") for e in self.events(self.path)}
        self.assertLessEqual({"introspected", "introspected: inactive", "no answer", "revoked"}, reasons)
        for place, text in (("audit log", self.text(self.path)), ("log", self.proxies[0].output().encode())):
            self.assertEqual(found(secrets, text), [], place)


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class FromOutside(AuditCase):
    def post(self, path, body, kind):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
        try:
            connection.request("POST", path, body, {"Content-Type": kind})
            return connection.getresponse().status
        finally:
            connection.close()

    def test_no_line_has_what_asked_for_a_revocation(self):
        self.admin, issuer, folder = free_port(), Issuer(), self.folder()
        with open(f"{folder}/jwks.json", "w", encoding="ascii") as file:
            json.dump(issuer.jwks(), file)
        proxy = self.audited(
            [self.memcached()], 'seal = "require"\nblind_keys = true\nrevocable = true', keys=self.keys,
            more=f'[admin]\nlisten = {self.admin}\n[revocation]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
                 f'jwks_file = "{folder}/jwks.json"\nnamespaces = ["{SPACE.decode()}"]\n')
        wire, secrets, form = self.wire(proxy), [], "application/x-www-form-urlencoded"
        for n in range(3):
            user, jti = os.urandom(10).hex(), os.urandom(12).hex()
            key = SPACE + b"{%s}:s" % user.encode()
            good = issuer.token(sub=user, jti=jti)
            for send, status in (
                    (("/revoke", json.dumps({"namespace": SPACE.decode(), "group": user}).encode(), "application/json"), 200),
                    (("/logout", urllib.parse.urlencode({"logout_token": good}).encode(), form), 200),
                    (("/revoke", json.dumps({"namespace": "other:", "group": user}).encode(), "application/json"), 400),
                    (("/logout", urllib.parse.urlencode({"logout_token": good[:-8]}).encode(), form), 400)):
                wire.set(key, b"v")
                self.assertEqual(self.post(*send), status, n)
                self.assertEqual(wire.get(key), None if status == 200 else b"v")
            secrets += [user.encode(), jti.encode(), key, *(part.encode() for part in good.split("."))]
        wire.command(b"flush_all\r\n")
        self.has(proxy.audit, event_action="flush")
        self.assertGreaterEqual(len(self.events(proxy.audit, event_action="revoke")), 6)
        # The header of a JWT is no secret, and is the same in all.
        secrets = [secret for secret in secrets if secret != good.split(".")[0].encode()]
        for place, text in (("audit log", self.text(proxy.audit)), ("log", proxy.output().encode())):
            self.assertEqual(found(secrets, text), [], place)


if __name__ == "__main__":
    unittest.main()
