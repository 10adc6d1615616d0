"""The audit log of what is asked from outside: who revoked, and who was refused."""
import unittest

from audited import AuditCase
from revoking import ISSUER, REVOKED, RevokeCase
from sealed import SPACE, envelope

TOKEN = "0123456789abcdef"


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Told(RevokeCase, AuditCase):
    def begin(self, admin=""):
        self.path = self.written("audit.jsonl", "", 0o600)
        self.start(more=self.table(SPACE.decode()) + f'[audit]\nfile = "{self.path}"\n', admin=admin)

    def told(self, count, **fields):
        events = self.has(self.path, count, **fields)
        self.assertEqual(len(events), count)
        for event in events:
            self.check(event)
        return events

    def test_who_revoked(self):
        self.begin()
        group = {"namespace": SPACE.decode(), "group": "user42"}
        self.assertEqual(self.revoke(group)[0], 200)
        self.assertEqual(self.logout(self.issuer.token()), 200)
        self.assertEqual(self.event(self.issuer.token(events={REVOKED: {}})), 202)
        code, _, errors = self.tokenring("revoke", SPACE.decode() + "{user42}")
        self.assertEqual(code, 0, errors)
        self.client.command(b"delete %s{user42}\r\n" % SPACE)
        events = self.told(5, event_action="revoke", event_outcome="success")
        self.assertEqual([e.get("tokenring.via") for e in events],
                         ["admin", f"issuer {ISSUER}", f"issuer {ISSUER}", "control", None])
        for event in events[:3]:
            self.assertEqual(event["source.ip"], "127.0.0.1")
            self.assertEqual(event["source.address"], f'127.0.0.1:{event["source.port"]}')
        self.assertRegex(events[3]["source.address"], r"^uid \d+ pid \d+$")
        self.assertNotIn(f"pid {self.front.pid}", events[3]["source.address"])
        self.assertNotIn("source.ip", events[3])
        self.assertEqual(len({e["tokenring.key.ref"] for e in events}), 1)

    def test_what_its_node_did_not_acknowledge(self):
        self.begin()
        self.fill()
        self.node.freeze()
        self.assertEqual(self.revoke({"namespace": SPACE.decode(), "group": "user42"})[0], 502)
        self.node.thaw()
        event = self.has(self.path, event_action="revoke")[0]
        self.assertEqual((event["event.outcome"] != "success", event["tokenring.via"]), (True, "admin"))

    def test_who_was_refused(self):
        self.begin(admin=f'token_file = "{self.written("token", TOKEN)}"\n')
        group = {"namespace": SPACE.decode(), "group": "user42"}
        self.assertEqual(self.revoke(group)[0], 401)
        self.assertEqual(self.revoke(group, Authorization="Bearer 0123456789abcdee")[0], 401)
        self.assertEqual(self.revoke(group, Authorization=f"Bearer {TOKEN}")[0], 200)
        sign = self.issuer.token
        tokens = [sign(key=self.issuer.stranger), sign(iss="https://other.example"), sign(aud="other"), sign(iat=1)]
        for token in tokens:
            self.assertEqual(self.logout(token), 400)
        events = self.told(2, event_action="login", event_outcome="failure")
        self.assertEqual({e["tokenring.command"] for e in events}, {"POST /revoke"})
        events += self.told(4, event_action="revoke", event_outcome="failure")
        self.assertEqual([e["event.reason"] for e in events[2:]],
                         ["token is signed by none of the keys", "token is of another issuer",
                          "token is for another audience", "token is not of this hour"])
        for event in events:
            self.assertEqual((event["tokenring.via"], event["source.ip"]), ("admin", "127.0.0.1"))
        text = self.text(self.path).decode()
        for secret in [TOKEN, "0123456789abcdee", "user42", *(part for token in tokens for part in token.split("."))]:
            self.assertNotIn(secret, text)


if __name__ == "__main__":
    unittest.main()
