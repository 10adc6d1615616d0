"""TLS to clients: OpenSSL's s_client, Python's ssl and pymemcache against the proxy."""
import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from certificates import DAY, Authority, TlsWire
from harness import SLOW, TIMEOUT, Case, Wire, eventually, free_port
from pymemcache.client.base import Client

V2, V3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def table(name, **keys):
    values = {key: str(value).lower() if isinstance(value, (bool, int)) else f'"{value}"' for key, value in keys.items()}
    return "\n".join([f"[tls.{name}]", *(f"{key} = {value}" for key, value in values.items()), ""])


class TlsCase(Case):
    extra = ""  # In the table of the address with TLS.

    def setUp(self):
        self.authority = Authority(self)

    def config(self, plain, secure, front, more=""):
        return (f'listen = ["127.0.0.1:{plain}", {{ address = "127.0.0.1:{secure}", tls = "front"{self.extra} }}]\n'
                f"{more}\n{front}")

    def front(self, pair=None, **keys):
        pair = pair or self.authority.server()
        return table("front", certificate=pair.certificate, key=pair.key, **keys)

    def secure_proxy(self, front=None, more="", *arguments, **options):
        """A proxy with an embedded node; `port` is plain, `secure` is TLS."""
        plain, secure = free_port(), free_port()
        proxy = self.proxy((), "--listen", f"127.0.0.1:{secure}", *arguments, port=plain,
                           config=self.config(plain, secure, front or self.front(), more), **options)
        proxy.secure = secure
        proxy.wait_for_control()
        return proxy

    def tls(self, proxy, context=None):
        wire = TlsWire(proxy.secure, context or self.authority.context())
        self.addCleanup(wire.close)
        return wire

    def count(self, proxy, name):
        with Wire(proxy.port) as wire:
            wire.send(b"stats tokenring\r\n")
            return int(re.search(rb"STAT %s (\d+)" % name.encode(), wire.until(b"END\r\n"))[1])

    def counts(self, proxy, name, at_least):
        eventually(lambda: self.count(proxy, name) >= at_least, what=f"{name} >= {at_least}")

    def s_client(self, proxy, *arguments, say=b"quit\r\n", authority=None):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.secure}", "-CAfile",
                   (authority or self.authority).file, "-verify_return_error", *arguments]
        done = subprocess.run(command, input=say, capture_output=True, timeout=4 * TIMEOUT, check=False)
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def refused(self, proxy, context):
        """A handshake or what follows it fails; nothing is served."""
        try:
            with TlsWire(proxy.secure, context) as wire:
                wire.send(b"version\r\n")
                self.assertEqual(wire.line(), b"")
        except (ssl.SSLError, ConnectionError):
            pass


class Clients(TlsCase):
    def test_both_versions_and_no_older_one(self):
        proxy = self.secure_proxy()
        for version in (V2, V3):
            wire = self.tls(proxy, self.authority.context(version=version))
            wire.set(b"k", b"v")
            self.ask(wire, b"get k\r\nmg k v t\r\n", b"VALUE k 0 1\r\nv\r\nEND\r\nVA 1 t-1\r\nv\r\n")
            self.assertRegex(wire.socket.cipher()[0], "GCM|CHACHA20")
        self.assertNotIn("Cipher is TLS", self.s_client(proxy, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"))
        old = self.s_client(proxy, "-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA")
        self.assertIn("handshake failure", old)
        self.assertGreaterEqual(self.count(proxy, "tls_handshakes"), 2)

    def test_only_1_3(self):
        proxy = self.secure_proxy(self.front(min_version="1.3"))
        self.refused(proxy, self.authority.context(version=V2))
        self.ask(self.tls(proxy), b"get k\r\n", b"END\r\n")

    def test_s_client_and_plain_text_where_tls_is(self):
        proxy = self.secure_proxy()
        said = self.s_client(proxy, "-quiet", say=b"set a 0 0 1\r\nx\r\nget a\r\nquit\r\n")
        self.assertIn("STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n", said)
        with Wire(proxy.secure) as wire:
            wire.send(b"get a\r\n")
            self.assertNotIn(b"END", wire.until(b"END\r\n"))
        self.counts(proxy, "tls_handshakes_failed", 1)
        proxy.says("handshake")

    def test_pymemcache(self):
        client = Client(("127.0.0.1", self.secure_proxy().secure), tls_context=self.authority.context(),
                        connect_timeout=TIMEOUT, timeout=TIMEOUT)
        values = {f"k{n}": os.urandom(n * 997) for n in range(60)}
        self.assertEqual(client.set_many(values, noreply=False), [])
        self.assertEqual(client.get_many(values), values)
        self.assertTrue(client.delete("k1", noreply=False))
        self.assertIsNone(client.get("k1"))
        client.close()

    def test_large_values_and_pipelines(self):
        proxy = self.secure_proxy()
        big = os.urandom(1 << 19)
        for version in (V2, V3):
            wire = self.tls(proxy, self.authority.context(version=version))
            wire.set(b"big", big)
            sender = threading.Thread(target=wire.send, args=(b"get big\r\n" * 40 + b"mn\r\n",))
            sender.start()
            reply = b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(big), big)
            for _ in range(40):
                self.assertEqual(wire.take(len(reply)), reply)
            self.assertEqual(wire.line(), b"MN\r\n")
            sender.join()
            sets = b"".join(b"ms p%d 3000 q\r\n%s\r\n" % (n, bytes([65 + n % 26]) * 3000) for n in range(300))
            self.ask(wire, sets, b"")
            self.assertEqual(wire.get(b"p299"), bytes([65 + 299 % 26]) * 3000)

    def test_a_client_that_said_good_bye_is_still_answered(self):
        proxy = self.secure_proxy()
        for tcp_only in (False, True):
            with self.subTest(tcp_only=tcp_only), Wire(proxy.secure) as raw:
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                session = self.authority.context().wrap_bio(incoming, outgoing, server_hostname="localhost")

                def until_done(step):
                    while True:
                        try:
                            return step()
                        except ssl.SSLWantReadError:
                            if outgoing.pending:
                                raw.send(outgoing.read())
                            raw.socket.settimeout(TIMEOUT)
                            data = raw.socket.recv(1 << 16)
                            incoming.write(data) if data else incoming.write_eof()

                until_done(session.do_handshake)
                session.write(b"set half 0 0 3\r\nyes\r\nget half\r\n")
                if not tcp_only:
                    try:
                        session.unwrap()
                    except ssl.SSLWantReadError:
                        pass
                raw.send(outgoing.read())
                if tcp_only:
                    raw.socket.shutdown(socket.SHUT_WR)
                got = b""
                while not got.endswith(b"END\r\n"):
                    piece = until_done(lambda: session.read(1 << 16))
                    self.assertTrue(piece, got)
                    got += piece
                self.assertEqual(got, b"STORED\r\nVALUE half 0 3\r\nyes\r\nEND\r\n")

    def test_where_the_kernel_could_encrypt(self):
        """Without the kernel's help all is as ever."""
        wire = self.tls(self.secure_proxy(self.front(ktls=True)))
        value = os.urandom(100_000)
        wire.set(b"k", value)
        self.assertEqual(wire.get(b"k"), value)

    def test_no_room_for_another_client(self):
        proxy = self.secure_proxy(None, "[limits]\nclients_max = 1", "--workers", "1")
        eventually(lambda: proxy.status().get("connections") == "0", what="who looked whether it listens has left")
        self.ask(self.tls(proxy), b"get k\r\n", b"END\r\n")
        self.refused(proxy, self.authority.context())


class ClientCertificates(TlsCase):
    def setUp(self):
        super().setUp()
        self.clients = Authority(self, "clients")

    def asking(self, how):
        return self.secure_proxy(self.front(client_certificates=how, client_ca=self.clients.file))

    def test_required(self):
        proxy = self.asking("required")
        for version in (V2, V3):
            known = self.clients.issue("web")
            self.ask(self.tls(proxy, self.authority.context(known, version)), b"get k\r\n", b"END\r\n")
            self.refused(proxy, self.authority.context(None, version))
            self.refused(proxy, self.authority.context(self.authority.issue("web"), version))
            self.refused(proxy, self.authority.context(self.clients.issue("web", life=-DAY), version))
        self.counts(proxy, "tls_handshakes_failed", 6)
        proxy.says("certificate")

    def test_optional(self):
        proxy = self.asking("optional")
        self.ask(self.tls(proxy), b"get k\r\n", b"END\r\n")
        self.ask(self.tls(proxy, self.authority.context(self.clients.issue("web"))), b"get k\r\n", b"END\r\n")
        self.refused(proxy, self.authority.context(self.authority.issue("web")))

    def test_a_certificate_says_who_it_is(self):
        """Also of a session that is resumed."""
        more = ('[[namespaces]]\nprefix = "a:"\n[[namespaces]]\nprefix = "b:"\n'
                '[[identities]]\nname = "web"\ncertificate = ["CN=web"]\nallow = [{ namespaces = ["a:"], rights = ["read", "write"] }]\n'
                '[[identities]]\nname = "shop"\ncertificate = ["DNS:shop.internal"]\nallow = [{ namespaces = ["b:"], rights = ["read"] }]\n')
        self.extra = ", identify = true"
        proxy = self.secure_proxy(self.front(client_certificates="optional", client_ca=self.clients.file), more)
        denied, stored = b"CLIENT_ERROR access denied\r\n", b"STORED\r\n"
        for version in (V2, V3):
            for pair, answers in ((self.clients.issue("web"), (stored, b"VA 1\r\nx\r\n", denied)),
                                  (self.clients.issue("other", "DNS:shop.internal"), (denied, denied, b"EN\r\n"))):
                context = self.authority.context(pair, version)
                wire = self.tls(proxy, context)
                for command, answer in zip((b"set a:k 0 0 1\r\nx\r\n", b"mg a:k v\r\n", b"mg b:k v\r\n"), answers):
                    self.ask(wire, command, answer)
            for nobody in (None, self.clients.issue("somebody")):
                wire = self.tls(proxy, self.authority.context(nobody, version))
                wire.send(b"mg a:k v\r\n")
                self.assertEqual(wire.line(), b"CLIENT_ERROR unauthenticated\r\n")
        pair = self.clients.issue("web")
        known = ("-cert", pair.certificate, "-key", pair.key)
        with tempfile.TemporaryDirectory() as folder:
            for version in ("-tls1_2", "-tls1_3"):
                kept = f"{folder}/session{version}"
                self.s_client(proxy, version, *known, "-sess_out", kept, "-ign_eof", say=b"mn\r\nquit\r\n")
                again = self.s_client(proxy, version, *known, "-sess_in", kept, "-ign_eof", say=b"mg a:k v\r\nmg b:k v\r\nquit\r\n")
                self.assertIn("Reused, TLS", again)
                self.assertIn("VA 1\r\nx", again)
                self.assertIn("access denied", again)

    def test_a_ticket_is_no_way_around_another_authority(self):
        proxy = self.asking("required")
        pair = self.clients.issue("web")
        known = ("-cert", pair.certificate, "-key", pair.key)
        with tempfile.TemporaryDirectory() as folder:
            for version in ("-tls1_2", "-tls1_3"):
                kept = f"{folder}/session{version}"
                self.s_client(proxy, version, *known, "-sess_out", kept, "-ign_eof", say=b"mn\r\nquit\r\n")
                self.assertIn("Reused, TLS", self.s_client(proxy, version, *known, "-sess_in", kept))
            others = Authority(self, "others")
            self.change(proxy, self.front(client_certificates="required", client_ca=others.file))
            for version in ("-tls1_2", "-tls1_3"):
                self.assertNotIn("Reused", self.s_client(proxy, version, *known, "-sess_in", f"{folder}/session{version}"))

    def change(self, proxy, front):
        proxy.configure(self.config(proxy.port, proxy.secure, front))
        code, output, errors = proxy.ask("reload")
        self.assertEqual(code, 0, output + errors)


class Changes(TlsCase):
    def test_reload(self):
        old, new = self.authority.server(), self.authority.server()
        proxy = self.secure_proxy(self.front(old))
        before = self.tls(proxy)
        serial = before.socket.getpeercert()["serialNumber"]
        proxy.configure(self.config(proxy.port, proxy.secure, self.front(new)))
        self.assertEqual(proxy.ask("reload")[0], 0)
        after = self.tls(proxy)
        self.assertNotEqual(after.socket.getpeercert()["serialNumber"], serial)
        self.ask(before, b"set k 0 0 1\r\n1\r\n", b"STORED\r\n")
        self.ask(after, b"get k\r\n", b"VALUE k 0 1\r\n1\r\nEND\r\n")

        file = proxy.config_file.name
        with open(new.key, "wb") as broken:
            broken.write(b"nonsense")
        code, output, errors = proxy.ask("reload")
        self.assertEqual(code, 1)
        line = next(n for n, text in enumerate(open(file, encoding="utf-8"), 1) if text.startswith("key"))
        self.assertIn(f"{file}:{line}:7: tls.front.key: {new.key}: holds no key", output + errors)
        os.chmod(old.key, 0o644)
        proxy.configure(self.config(proxy.port, proxy.secure, self.front(old)))
        self.assertIn("lets others in", "".join(proxy.ask("reload")[1:]))
        proxy.configure(self.config(proxy.port, proxy.secure, self.front(old).replace(old.key, self.authority.server().key)))
        self.assertIn("is not the key of the certificate", "".join(proxy.ask("reload")[1:]))
        last = self.tls(proxy)
        self.assertEqual(last.socket.getpeercert()["serialNumber"], after.socket.getpeercert()["serialNumber"])
        self.ask(before, b"get k\r\n", b"VALUE k 0 1\r\n1\r\nEND\r\n")

    def test_sessions_are_resumed_by_every_worker_and_after_a_reload(self):
        proxy = self.secure_proxy()
        with tempfile.TemporaryDirectory() as folder:
            for n, version in enumerate(("-tls1_2", "-tls1_3")):
                kept = f"{folder}/{n}"
                first = self.s_client(proxy, version, "-sess_out", kept, "-ign_eof", say=b"mn\r\nquit\r\n")
                self.assertIn("New, TLS", first)
                proxy.configure(self.config(proxy.port, proxy.secure, self.front()))
                self.assertEqual(proxy.ask("reload")[0], 0)
                self.assertIn("Reused, TLS", self.s_client(proxy, version, "-sess_in", kept))
        self.counts(proxy, "tls_handshakes_resumed", 2)

    def test_takeover(self):
        proxy = self.secure_proxy(more='drain_timeout = "20s"')
        stays = self.tls(proxy)
        stays.set(b"k", b"old")
        proxy.may_end = True
        with open(proxy.config_file.name, encoding="utf-8") as file:
            new = self.proxy((), "--listen", f"127.0.0.1:{proxy.secure}", "--takeover", port=proxy.port, config=file.read())
        new.secure = proxy.secure
        new.says("takeover: done")
        self.assertEqual(stays.get(b"k"), b"old")
        self.assertIsNone(self.tls(new).get(b"k"))
        stays.close()
        self.assertEqual(proxy.wait_for_end(), 0)


class Hostile(TlsCase):
    def test_renegotiation_is_refused(self):
        proxy = self.secure_proxy()
        neighbour = self.tls(proxy)
        said = self.s_client(proxy, "-tls1_2", say=b"R\n")
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("no renegotiation", said)
        self.ask(neighbour, b"get k\r\n", b"END\r\n")
        self.ask(self.tls(proxy), b"get k\r\n", b"END\r\n")

    def test_half_open_handshakes_end_after_their_time(self):
        proxy = self.secure_proxy(more='[limits]\nhandshake_timeout = "200ms"')
        with Wire(proxy.secure) as silent, Wire(proxy.secure) as started:
            started.send(b"\x16\x03\x01\x02\x00\x01")
            self.assertTrue(silent.at_end())
            self.assertTrue(started.at_end())
        self.counts(proxy, "tls_handshakes_failed", 2)
        proxy.says("longer than it may")

    def test_plain_clients_are_served_through_a_flood(self):
        proxy = self.secure_proxy(more='[limits]\nhandshakes_max = 16\nhandshake_timeout = "500ms"')
        plain, served, ending = self.wire(proxy), 0, threading.Event()

        def flood(number):
            while not ending.is_set():
                wires = []
                try:
                    for n in range(20):
                        wires.append(Wire(proxy.secure))
                        if (n + number) % 2:
                            wires[-1].send(os.urandom(300))
                except OSError:
                    pass
                finally:
                    for wire in wires:
                        wire.close()

        floods = [threading.Thread(target=flood, args=(n,)) for n in range(3)]
        held = [Wire(proxy.secure) for _ in range(40)]
        for thread in floods:
            thread.start()
        try:
            while served < 300 or not (self.count(proxy, "tls_handshakes_refused") and
                                       self.count(proxy, "tls_handshakes_failed")):
                self.ask(plain, b"set f 0 0 2\r\nok\r\nget f\r\n", b"STORED\r\nVALUE f 0 2\r\nok\r\nEND\r\n")
                served += 1
                self.assertLess(served, 20_000, "nothing is refused or fails")
        finally:
            ending.set()
            for thread in floods:
                thread.join(4 * TIMEOUT)
            for wire in held:
                wire.close()

        def comes_through():
            try:
                return self.tls(proxy).command(b"get f\r\n") == b"VALUE f 0 2\r\nok\r\nEND\r\n"
            except (OSError, AssertionError):
                return False
        eventually(comes_through, 4 * TIMEOUT, "a client of TLS is served again")
        self.assertEqual(self.count(proxy, "rejected_connections"), 0)

    def test_half_open_connections_make_room(self):
        """More than there may be, all waiting: who comes is let in once they have waited long enough."""
        proxy = self.secure_proxy(more='[limits]\nhandshakes_max = 4\nhandshake_timeout = "10m"')
        held = [Wire(proxy.secure) for _ in range(4)]

        def comes_through():
            try:
                return self.tls(proxy).command(b"get f\r\n") == b"END\r\n"
            except (OSError, AssertionError):
                return False
        eventually(comes_through, 4 * TIMEOUT * SLOW, "somebody makes room")
        for wire in held:
            wire.close()


if __name__ == "__main__":
    unittest.main()
