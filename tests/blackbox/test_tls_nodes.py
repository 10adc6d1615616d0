"""TLS to nodes: Debian's memcached with its own TLS, and a relay that remembers sessions."""
import os
import socket
import ssl
import subprocess
import threading
import unittest

from certificates import DAY, Authority
from harness import WORKERS, TIMEOUT, eventually, free_port
from scrape import exchange, top
from test_tls import TlsCase, table


def memcached_has_tls():
    usage = subprocess.run(["memcached", "-h"], capture_output=True, text=True, timeout=10, check=False)
    return "ssl_chain_cert" in usage.stdout


class Relay:
    """TLS before a plain node, as stunnel is; its connections can be cut."""

    def __init__(self, case, node, pair):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.certificate, pair.key)
        self.node, self.open, self.resumed = node, [], 0
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        case.addCleanup(self.stop)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
                near = self.context.wrap_socket(raw, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self.resumed += near.session_reused
            far = socket.create_connection(("127.0.0.1", self.node.port))
            self.open += [near, far]
            threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    @staticmethod
    def _serve(near, far):
        """One thread, for a session is not for two; the proxy asks, and the node answers."""
        near.settimeout(0.005)
        far.setblocking(False)
        try:
            while True:
                try:
                    data = near.recv(1 << 16)
                    if not data:
                        return
                    far.sendall(data)
                except TimeoutError:
                    pass
                try:
                    near.sendall(far.recv(1 << 16))
                except BlockingIOError:
                    pass
        except OSError:
            pass

    def cut(self):
        for one in self.open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []

    def stop(self):
        self.listener.close()
        self.cut()


@unittest.skipUnless(memcached_has_tls(), "this memcached has no TLS")
class Nodes(TlsCase):
    def node(self, pair=None, *more):
        pair = pair or self.authority.server()
        options = ",".join([f"ssl_chain_cert={pair.certificate}", f"ssl_key={pair.key}", *more])
        return self.memcached("-Z", "-o", options)

    def before(self, nodes, addresses=None, **keys):
        keys.setdefault("ca", self.authority.file)
        places = addresses or [node.address for node in nodes]
        listed = ", ".join(f'"{place}"' for place in places)
        return self.proxy((), config=f'[pools.main]\nnodes = [{listed}]\ntls = "nodes"\nconnect_timeout = "5s"\n'
                                     + table("nodes", **keys))

    def serves(self, proxy, key=b"k"):
        wire = self.wire(proxy)
        eventually(lambda: wire.command(b"set %s 0 0 1\r\n1\r\n" % key) == b"STORED\r\n", what="node is up")
        self.assertEqual(wire.get(key), b"1")
        return wire

    def is_down(self, proxy, why):
        wire = self.wire(proxy)
        self.assertRegex(wire.command(b"set k 0 0 1\r\n1\r\n"), b"SERVER_ERROR")
        proxy.says(why)
        eventually(lambda: self.count(proxy, "tls_node_handshakes_failed") > 0, what="it is counted")

    def test_memcached_with_tls(self):
        nodes = [self.node() for _ in range(3)]
        proxy = self.before(nodes)
        wire = self.serves(proxy)
        for n in range(60):
            wire.set(b"n%d" % n, b"%d" % n * 50)
        self.ask(wire, b"get %s\r\n" % b" ".join(b"n%d" % n for n in range(60)),
                 b"".join(b"VALUE n%d 0 %d\r\n%s\r\n" % (n, len(b"%d" % n * 50), b"%d" % n * 50) for n in range(60)) + b"END\r\n")
        self.counts(proxy, "tls_node_handshakes", 3 * int(WORKERS))
        self.assertEqual(self.count(proxy, "tls_node_handshakes"), 3 * int(WORKERS))
        nodes[0].restart()
        for n in range(20):
            self.serves(proxy, b"r%d" % n)

    def test_large_values_and_pipelines_through_memcached(self):
        """memcached forgets what it left in OpenSSL's buffers, unless what it is sent ends so that nothing is left."""
        wire = self.serves(self.before([self.node()]))
        for size in (10, 3000, 8000, 16300, 17000, 40_000, 500_000):
            value = os.urandom(size)
            sets = b"".join(b"ms v%d %d q\r\n%s\r\nmg v%d s\r\n" % (n, size, value, n) for n in range(12))
            sender = threading.Thread(target=wire.send, args=(sets + b"mn\r\n",))
            sender.start()
            self.assertEqual(wire.until(b"MN\r\n"), b"HD s%d\r\n" % size * 12 + b"MN\r\n")
            sender.join()
            self.assertEqual(wire.get(b"v11"), value)

    def test_a_node_of_another_authority_is_down(self):
        proxy = self.before([self.node(Authority(self).server())])
        self.is_down(proxy, "tls: certificate: ")

    def test_a_node_of_another_name_is_down_unless_the_authority_is_all_that_counts(self):
        node = self.node(self.authority.issue("x", "DNS:other.example"))
        self.is_down(self.before([node]), "tls: certificate: IP address mismatch")
        self.is_down(self.before([node], [f"localhost:{node.port}"]), "tls: certificate: hostname mismatch")
        self.serves(self.before([node], verify_name="other.example"))
        self.serves(self.before([node], verify="ca"))

    def test_a_nodes_own_host_name(self):
        node = self.node(self.authority.issue("x", "DNS:localhost"))
        self.serves(self.before([node], [f"localhost:{node.port}"]))

    def test_a_node_whose_certificate_is_over_is_down(self):
        proxy = self.before([self.node(self.authority.server(life=-DAY))])
        self.is_down(proxy, "tls: certificate: certificate has expired")

    def test_a_plain_node_is_down(self):
        proxy = self.before([self.memcached()])
        self.is_down(proxy, "tls: ")

    def test_a_node_that_asks_who_we_are(self):
        known = self.authority.issue("proxy")
        node = self.node(None, "ssl_verify_mode=2", f"ssl_ca_cert={self.authority.file}")
        self.serves(self.before([node], certificate=known.certificate, key=known.key))
        wire = self.wire(self.before([node]))
        self.assertRegex(wire.command(b"set k 0 0 1\r\n1\r\n"), b"SERVER_ERROR")

    def test_a_pool_that_gets_tls_by_a_reload(self):
        node, plain = self.node(), self.memcached()
        config = '[pools.main]\nnodes = ["{}"]\nconnect_timeout = "5s"\n{}'
        proxy = self.proxy((), config=config.format(plain.address, ""))
        self.serves(proxy)
        proxy.configure(config.format(node.address, 'tls = "nodes"\n' + table("nodes", ca=self.authority.file)))
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.serves(proxy)
        self.assertGreater(self.count(proxy, "tls_node_handshakes"), 0)


class Resumption(TlsCase):
    def test_a_link_resumes_its_session(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            node = self.memcached()
            relay = Relay(self, node, self.authority.server())
            relay.context.maximum_version = version
            proxy = self.proxy((), config=f'[pools.main]\nnodes = ["{relay.address}"]\ntls = "nodes"\n'
                                          f'connect_timeout = "5s"\n' + table("nodes", ca=self.authority.file))
            wire = self.wire(proxy)
            up = lambda: wire.command(b"set k 0 0 1\r\n1\r\n") == b"STORED\r\n"  # noqa: E731
            eventually(up, what="node is up")
            relay.cut()
            eventually(lambda: up() and self.count(proxy, "tls_node_handshakes_resumed") > 0, what="resumed")
            self.assertGreater(relay.resumed, 0)


class AdminPort(TlsCase):
    def start(self, more="", **keys):
        port = free_port()
        config = f'[admin]\nlisten = {port}\ntls = "front"\n{more}\n' + self.front(**keys)
        self.server = self.proxy((), config=config)
        self.server.wait_for_control()
        return port

    def get(self, port, path, context=None, headers=""):
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as raw:
            with (context or self.authority.context()).wrap_socket(raw, server_hostname="localhost") as wire:
                wire.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
                answer = b""
                while piece := wire.recv(1 << 16):
                    answer += piece
                return int(answer.split()[1]), answer

    def test_metrics_over_tls(self):
        port = self.start()
        status, answer = self.get(port, "/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"\ntokenring_tls_handshakes_total", answer)
        self.assertNotIn(b"200 OK", exchange(port, b"GET /metrics HTTP/1.0\r\n\r\n"))

    def test_a_certificate_in_place_of_the_token(self):
        clients = Authority(self, "clients")
        token = self.authority.folder.name + "/token"
        with open(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("a-token-of-this-test\n")
        port = self.start(f'token_file = "{token}"', client_certificates="optional", client_ca=clients.file)
        self.assertEqual(self.get(port, "/metrics")[0], 401)
        self.assertEqual(self.get(port, "/metrics", headers="Authorization: Bearer a-token-of-this-test\r\n")[0], 200)
        self.assertEqual(self.get(port, "/metrics", self.authority.context(clients.issue("ops")))[0], 200)

    def top(self, *arguments):
        """(exit code, errors)"""
        code, output, errors = top(*arguments, "--once", "--interval", "0.1")
        self.assertEqual(bool(output), code == 0)
        return code, errors

    def test_top_believes_whom_it_is_told_to(self):
        port = self.start()
        place = f"127.0.0.1:{port}"
        self.assertEqual(self.top("--admin", place, "--ca", self.authority.file), (0, ""))
        # The very certificate that the file names, whatever it is for.
        elsewhere = f"127.0.0.1:{self.start(pair=self.authority.issue('elsewhere', 'DNS:elsewhere.example'))}"
        file = self.server.config_file.name
        self.assertEqual(self.top("-c", file), (0, ""))
        stranger = Authority(self, "stranger").file
        refused = "there is no TLS, or its certificate is not the one to be believed"
        for arguments, complaint in (
                (("--admin", place), f"{place}: what answers there is no admin port, or one with TLS, which needs --ca"),
                (("--admin", place, "--ca", stranger), f"{place}: {refused}"),
                (("--admin", elsewhere, "--ca", self.authority.file), f"{elsewhere}: {refused}"),
                (("--admin", place, "--ca", file), f"{file}: holds no certificate; give one in PEM")):
            self.assertEqual(self.top(*arguments), (1, f"tokenring: {complaint}\n"))


if __name__ == "__main__":
    unittest.main()
