"""What an identity may have at most: requests, bytes, connections, negative answers."""
import re
import select
import unittest

from guarded import LIMITED, UNKNOWN, Access, login


class Quotas(Access):
    def start(self, quota):
        more = f'[[identities]]\nname = "app"\nallow = [{{ rights = ["read", "write"] }}]\n{quota}\n'
        return self.guarded([self.memcached()], self.file("app:pw\n"), more)

    def test_requests(self):
        client = self.client(self.start('requests_per_second = 1\nburst = "3s"'), b"app")
        client.send(b"set a 0 0 1\r\nx\r\n" + b"get a\r\n" * 3 + b"set a 0 0 1\r\ny\r\nset a 0 0 1 noreply\r\nz\r\nget a\r\nmn\r\n")
        self.assertEqual(client.until(b"MN\r\n"), b"STORED\r\n" + b"VALUE a 0 1\r\nx\r\nEND\r\n" * 3 + LIMITED * 2 + b"MN\r\n")

    def test_a_long_get_pays_for_each_key_once(self):
        client = self.client(self.start('requests_per_second = 1\nburst = "1000s"'), b"app")
        keys = [b"%s%d" % (b"k" * 100, n) for n in range(900)]
        self.ask(client, b"get " + b" ".join(keys) + b"\r\n", b"END\r\n")
        self.ask(client, b"get a\r\n" * 50, b"END\r\n" * 50)

    def test_a_get_without_end_is_ended(self):
        proxy = self.start('requests_per_second = 1\nburst = "100s"')
        client = self.client(proxy, b"app")
        client.send(b"get " + b"".join(b"some_key%d " % n for n in range(5000)) + b"x\r\nversion\r\n")
        self.assertEqual(client.line(), LIMITED)
        self.assertTrue(client.line().startswith(b"VERSION "))
        with self.wire(proxy.nodes[0]) as node:
            looked = int(re.search(rb"get_misses (\d+)", node.command(b"stats\r\n"))[1])
        self.assertTrue(90 <= looked <= 110, looked)

    def test_bytes(self):
        client = self.client(self.start('bytes_per_second = 1000\nburst = "1s"'), b"app")
        client.send(b"set a 0 0 90000\r\n" + b"x" * 90000 + b"\r\n")
        first = client.line()
        self.ask(client, b"get a\r\n", LIMITED)
        self.assertIn(first, (b"STORED\r\n", LIMITED))

    def test_negative_values(self):
        more = ('[[identities]]\nname = "app"\nallow = [{ rights = ["read", "write", "stats"] }]\n'
                'negative_per_second = 1\nburst = "3s"\n[[namespaces]]\nprefix = "t:"\nttl_from_token = true\n')
        client = self.client(self.guarded([self.memcached()], self.file("app:pw\n"), more), b"app")
        no = b'{"active":false}'
        client.send(b"".join(b"set t:%d 0 0 %d\r\n%s\r\n" % (n, len(no), no) for n in range(6)) +
                    b"set t:yes 0 0 15\r\n{\"active\":true}\r\nset other 0 0 %d\r\n%s\r\nmn\r\n" % (len(no), no))
        self.assertEqual(client.until(b"MN\r\n"), b"STORED\r\n" * 8 + b"MN\r\n")
        for n, there in enumerate([True] * 4 + [False] * 2):
            self.assertEqual(client.get(b"t:%d" % n), no if there else None)
        self.assertEqual([client.get(b"t:yes"), client.get(b"other")], [b'{"active":true}', no])
        self.assertIn(b"STAT t::negatives_refused 2\r\n", client.command(b"stats namespaces\r\n"))

    def test_connections(self):
        proxy = self.start("connections = 2")
        first, _ = self.client(proxy, b"app"), self.client(proxy, b"app")
        third = self.client(proxy)
        third.send(login(b"app", b"pw"))
        self.assertEqual(third.line(), LIMITED)
        third.send(b"get a\r\n")
        self.assertEqual(third.line(), UNKNOWN)
        first.close()
        for _ in range(1000):
            third.send(login(b"app", b"pw"))
            reply = third.line()
            if reply == b"STORED\r\n":
                break
            select.select([], [], [], 0.01)
        self.assertEqual(reply, b"STORED\r\n")


if __name__ == "__main__":
    unittest.main()
