"""A proxy that asks its clients who they are."""
import os
import subprocess
import tempfile

from harness import BINARY, Case, free_port

DENIED = b"CLIENT_ERROR access denied\r\n"
UNKNOWN = b"CLIENT_ERROR unauthenticated\r\n"
FAILED = b"CLIENT_ERROR authentication failure\r\n"
LIMITED = b"SERVER_ERROR rate limited\r\n"


def login(user, password):
    value = b"%s %s" % (user, password)
    return b"set login 0 0 %d\r\n%s\r\n" % (len(value), value)


def passwd(user, password, iterations=1000):
    """A line with a salted hash."""
    return subprocess.run([BINARY, "passwd", "--iterations", str(iterations), user], input=password + "\n",
                          capture_output=True, check=True, text=True).stdout


class Access(Case):
    def file(self, text, mode=0o600):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "file")
        self.rewrite(path, text, mode)
        return path

    @staticmethod
    def rewrite(path, text, mode=0o600):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path + ".new", mode)
        os.replace(path + ".new", path)

    @staticmethod
    def config(address, nodes, users, more):
        names = ", ".join(f'"{node.address}"' for node in nodes) or '"embedded"'
        auth = f'[auth]\nfile = "{users}"\n' if users else ""
        return f'listen = {{ address = "{address}", identify = true }}\n{auth}' \
               f'[pools.main]\nnodes = [{names}]\n{more}'

    def guarded(self, nodes, users, more, **options):
        port = free_port()
        proxy = self.proxy(config=self.config(f"127.0.0.1:{port}", nodes, users, more), port=port, **options)
        proxy.users, proxy.nodes = users, nodes
        return proxy

    def reconfigure(self, proxy, more):
        proxy.configure(self.config(proxy.address, proxy.nodes, proxy.users, more))
        return proxy.ask("reload")

    def client(self, proxy, user=None, password=b"pw"):
        wire = self.wire(proxy)
        if user:
            wire.send(login(user, password))
            self.assertEqual(wire.line(), b"STORED\r\n")
        return wire
