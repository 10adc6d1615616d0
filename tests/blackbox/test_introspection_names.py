"""An authorization server whose name nobody looks up in time: it holds up nobody but those that ask it."""
import os
import random
import socket
import tempfile
import unittest

from sealed import SPACE, nodes_line
from test_introspection import FOREVER, RULES, IntrospectionCase
from test_names import CAN_MOUNT, mounted


class SlowNames(IntrospectionCase):
    def silent_names(self):
        """A command that starts the proxy's, whose nameserver never answers."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        address = f"127.83.{random.randrange(256)}.{random.randrange(1, 255)}"
        try:
            server.bind((address, 53))
        except PermissionError:
            self.skipTest("only root can be a nameserver")
        file = tempfile.NamedTemporaryFile("w", suffix=".conf")
        self.addCleanup(file.close)
        file.write(f"nameserver {address}\noptions timeout:30 attempts:5\n")
        file.flush()
        return mounted(file.name, "/etc/resolv.conf")

    @unittest.skipUnless(CAN_MOUNT and os.path.exists("/etc/resolv.conf"), "needs an /etc/resolv.conf of its own")
    def test_a_name_that_nobody_looks_up(self):
        good = self.authority.table(FOREVER)
        slow = self.authority.table('timeout = "300ms"\n', name="slow").replace(self.authority.url, "https://as.test/i")
        text = (f'[pools.p]\nnodes = [{nodes_line([self.memcached()])}]\n[keys]\nfile = "{self.keys.path}"\n{good}{slow}'
                f'[[namespaces]]\nprefix = "{SPACE.decode()}"\n{RULES}'
                f'[[namespaces]]\nprefix = "slow:"\n{RULES.replace("main", "slow")}')
        proxy = self.proxy((), config=text, wrapper=self.silent_names())
        wire, other = self.wire(proxy), self.wire(proxy)
        other.send(b"mg slow:t v\r\n")
        self.assertIsNotNone(wire.get(SPACE + b"t1"))
        self.assertEqual(other.line(), b"EN\r\n")
        self.assertIsNotNone(wire.get(SPACE + b"t2"))
        other.send(b"mg slow:u v\r\n")
        proxy.child.terminate()
        self.assertEqual(proxy.wait_for_end(), 0)


if __name__ == "__main__":
    unittest.main()
