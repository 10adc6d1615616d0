"""Revocation from outside where identities have keys of their own: theirs are reached, and by name just one's."""
import json
import unittest

from harness import Wire, eventually, free_port
from revoking import RULES, RevokeCase
from sealed import SPACE, config, envelope

NAMES = (b"one", b"two", b"shared")
NAMED = SPACE.decode()
ONES = "one/" + NAMED


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Owned(RevokeCase):
    def begin(self, rules=RULES, spaces=(NAMED,), more=""):
        port = free_port()
        users = self.written("users", "".join(f"{name.decode()}:pw\n" for name in NAMES))
        more = self.table(*spaces) + f"[admin]\nlisten = {self.port}\n{more}"
        for name in NAMES:
            more += (f'[[identities]]\nname = "{name.decode()}"\nisolate = {str(name != b"shared").lower()}\n'
                     'allow = [{ rights = ["read", "write", "delete"] }]\n')
        text = config([self.node], self.keys, rules=rules, more=more)
        self.front = self.proxy(config=f'listen = {{ address = "127.0.0.1:{port}", identify = true }}\n'
                                       f'[auth]\nfile = "{users}"\n{text}', port=port)
        self.clients = [self.client_of(name) for name in NAMES]
        eventually(lambda: self.post("/nowhere", b"", {})[0] == 404)

    def client_of(self, name):
        wire = Wire(self.front.port)
        self.addCleanup(wire.close)
        wire.send(b"set login 0 0 %d\r\n%s pw\r\n" % (len(name) + 3, name))
        self.assertEqual(wire.line(), b"STORED\r\n")
        return wire

    def fill(self, user="user42", space=SPACE):
        key = space + b"{%s}:s" % user.encode()
        for client, name in zip(self.clients, NAMES):
            client.set(key, name)
        self.assertEqual(self.read(key), list(NAMES))
        return key

    def read(self, key):
        return [client.get(key) for client in self.clients]

    def by_http(self, space):
        status, text = self.revoke({"namespace": space, "group": "user42"})
        return (json.loads(text)["revoked"] if status == 200 else status), text

    def test_a_prefix_reaches_what_owners_have_of_it(self):
        for rules in (RULES, RULES.replace("blind_keys = true", "blind_keys = false")):
            with self.subTest(rules=rules):
                self.port = free_port()
                self.begin(rules)
                other = self.fill("user43")
                for revoke, answer in (
                        (lambda: self.by_http(NAMED)[0], 3), (lambda: self.logout(self.issuer.token()), 200),
                        (lambda: self.tokenring("revoke", NAMED + "{user42}")[:2], (0, "ok: revoked\n"))):
                    key = self.fill()
                    self.assertEqual(revoke(), answer)
                    self.assertEqual(self.read(key), [None] * 3)
                    self.assertEqual(self.read(other), list(NAMES))

    def test_with_a_mark_it_is_one_owners(self):
        self.begin(spaces=(ONES,))
        for revoke, answer in (
                (lambda: self.by_http(ONES)[0], 1), (lambda: self.logout(self.issuer.token()), 200),
                (lambda: self.tokenring("revoke", ONES + "{user42}")[:2], (0, "ok: revoked\n"))):
            key = self.fill()
            self.assertEqual(revoke(), answer)
            self.assertEqual(self.read(key), [None, b"two", b"shared"])
        for wrong in ("three/" + NAMED, "shared/" + NAMED, "one/", "/" + NAMED):
            self.assertEqual(self.by_http(wrong)[0], 400)
            self.assertEqual(self.tokenring("revoke", wrong + "{user42}")[0], 1)
        self.assertEqual(self.read(key), [None, b"two", b"shared"])

    def test_what_only_an_owner_has_and_what_does_not_fit(self):
        self.begin(rules=RULES.replace("blind_keys = true", "blind_keys = false"),
                   more=f'[[namespaces]]\nprefix = "own:"\nidentity = "two"\n{RULES}')
        key = self.fill(space=b"own:")
        self.assertEqual(self.by_http("own:")[0], 1)
        self.assertEqual(self.read(key), [b"one", None, b"shared"])
        # With the mark it is longer than a key may be: then no owner has such a group.
        name = "u" * (250 - len(NAMED) - 2)
        self.assertEqual(json.loads(self.revoke({"namespace": NAMED, "group": name})[1]), {"revoked": 1})
        self.assertEqual(self.revoke({"namespace": ONES, "group": name})[0], 400)

    def test_many_at_once_and_long_names(self):
        self.begin()
        long = "u" * 300
        users = [f"{long}{n}" for n in range(8)]
        keys = [self.fill(user) for user in users]
        answer = self.revoke({"groups": [{"namespace": NAMED, "group": user} for user in users]})
        self.assertEqual((answer[0], json.loads(answer[1])), (200, {"revoked": 24}))
        self.assertEqual([self.read(key) for key in keys], [[None] * 3] * 8)

    def test_what_no_node_acknowledged_is_an_error(self):
        self.begin()
        key = self.fill()
        self.node.freeze()
        for space in (NAMED, ONES):
            status, text = self.by_http(space)
            self.assertEqual(status, 502, text)
            self.assertIn("SERVER_ERROR", text)
        self.assertEqual(self.logout(self.issuer.token()), 502)
        code, output, errors = self.tokenring("revoke", NAMED + "{user42}")
        self.assertEqual((code, output), (1, ""))
        self.assertIn("SERVER_ERROR", errors)
        self.node.thaw()
        eventually(lambda: self.by_http(NAMED)[0] == 3)
        self.assertEqual(self.read(key), [None] * 3)

    def test_clients_reach_no_keys_of_others_by_that(self):
        self.begin()
        key = self.fill()
        for client in self.clients[1:]:
            for name in (b"one/" + SPACE + b"{user42}", b"one/" + key):
                client.command(b"delete %s\r\n" % name)
        self.assertEqual(self.read(key), list(NAMES))
        self.ask(self.clients[2], b"delete one/%s{user42}\r\n" % SPACE, b"CLIENT_ERROR access denied\r\n")


if __name__ == "__main__":
    unittest.main()
