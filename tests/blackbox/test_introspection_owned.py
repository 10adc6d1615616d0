"""Identities with keys of their own share no answer of an authorization server; those without do."""
import unittest

from harness import Wire, eventually, free_port
from sealed import SPACE, config, envelope
from test_introspection import FOREVER, RULES, IntrospectionCase

NAMES = (b"one", b"two", b"third", b"fourth")  # The first two isolate.


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Owned(IntrospectionCase):
    def begin(self):
        port = free_port()
        users = self.authority.file("users", "".join(f"{name.decode()}:pw\n" for name in NAMES))
        identities = "".join(f'[[identities]]\nname = "{name.decode()}"\nisolate = {str(name in NAMES[:2]).lower()}\n'
                             'allow = [{ rights = ["read", "write", "delete"] }]\n' for name in NAMES)
        text = config([self.memcached()], self.keys, rules=RULES, more=self.authority.table(FOREVER) + identities)
        proxy = self.proxy(config=f'listen = {{ address = "127.0.0.1:{port}", identify = true }}\n[auth]\nfile = "{users}"\n{text}',
                           port=port)
        return [self.client_of(proxy, name) for name in NAMES]

    def client_of(self, proxy, name):
        wire = Wire(proxy.port)
        self.addCleanup(wire.close)
        wire.send(b"set login 0 0 %d\r\n%s pw\r\n" % (len(name) + 3, name))
        self.assertEqual(wire.line(), b"STORED\r\n")
        return wire

    def test_one_after_the_other(self):
        clients = self.begin()
        said = self.says("t", {"active": True, "sub": "u"})
        for client, asked in zip(clients, (1, 2, 3, 3)):
            self.assertEqual(client.get(SPACE + b"t"), said)
            self.assertEqual(client.get(SPACE + b"t"), said)  # That is kept.
            self.assertEqual(self.asked("t"), asked)

    def test_all_at_once(self):
        clients = self.begin()
        said = self.says("t", {"active": True, "sub": "u"})
        self.authority.gate.clear()
        for client in clients:
            client.send(b"get %st\r\n" % SPACE)
        eventually(lambda: self.asked("t") == 3)
        self.authority.gate.set()
        for client in clients:
            self.assertEqual(client.until(b"END\r\n"), b"VALUE %st 0 %d\r\n%s\r\nEND\r\n" % (SPACE, len(said), said))
        self.assertEqual(self.asked("t"), 3)

    def test_what_one_deletes_the_other_keeps(self):
        one, two, third, fourth = self.begin()
        self.says("t", {"active": True})
        for client in (one, two, third, fourth):
            client.get(SPACE + b"t")
        self.ask(one, b"delete %st\r\n" % SPACE, b"DELETED\r\n")
        for client, asked in ((two, 3), (fourth, 3), (one, 4)):
            self.assertIsNotNone(client.get(SPACE + b"t"))
            self.assertEqual(self.asked("t"), asked)


if __name__ == "__main__":
    unittest.main()
