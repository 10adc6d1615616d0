"""What no node has is asked of an authorization server, which is a real one over TLS here."""
import base64
import json
import os
import time
import unittest

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
except ImportError:
    pass  # Then all is skipped.

from authority import CLIENT, Authority, certificate
from harness import SLOW, Wire, eventually, free_port
from sealed import SPACE, SealedCase, config, envelope

RULES = 'seal = "require"\nblind_keys = true\nttl_cap = "5m"\nfill = "main"\n'
FOREVER = "timeout = \"60s\"\n"  # Where nothing is to time out, on however busy a machine.


def coded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class IntrospectionCase(SealedCase):
    def setUp(self):
        super().setUp()
        self.authority = Authority()
        self.addCleanup(self.authority.stop)

    def start(self, rules="", endpoint=FOREVER, proxies=1, nodes=2, options=(), more="", **table):
        self.nodes = [self.memcached() for _ in range(nodes)]
        self.rules, self.table = RULES + rules, self.authority.table(endpoint, **table) + more
        self.proxies = [self.sealed(self.nodes, *options, rules=self.rules, more=self.table)
                        for _ in range(proxies)]
        self.wires = [self.wire(proxy) for proxy in self.proxies]
        return self.wires

    def says(self, token, said):
        self.authority.say[token] = said
        return json.dumps(said).encode()

    def asked(self, token):
        return self.authority.asked[token]


class Answers(IntrospectionCase):
    def test_a_miss_is_asked_once_and_then_a_hit_at_every_proxy(self):
        a, b = self.start(proxies=2)
        said = self.says("tok1", {"active": True, "scope": "r w", "exp": int(time.time()) + 600})
        self.assertEqual(a.get(SPACE + b"tok1"), said)
        self.assertEqual([a.get(SPACE + b"tok1"), b.get(SPACE + b"tok1")], [said, said])
        self.assertEqual(self.asked("tok1"), 1)
        path, headers, form = self.authority.requests[0]
        self.assertEqual(path, "/introspect?v=1")
        self.assertEqual(form, {"token": ["tok1"], "token_type_hint": ["access_token"]})
        self.assertEqual(headers["Authorization"], self.authority.credentials())
        self.assertEqual(headers["Accept"], "application/json")
        self.assertEqual(headers["Content-Type"], "application/x-www-form-urlencoded")
        self.assertEqual(self.tallies(a)["introspected"], 1)
        self.assertEqual(self.tallies(a)["get_misses"], 1)

    def test_it_lives_as_long_as_its_token_and_the_cap_at_most(self):
        (a,) = self.start('skew = "10s"\n')
        for token, left, bound in (("short", 60, 50), ("long", 6000, 300)):
            said = self.says(token, {"active": True, "exp": int(time.time()) + left})
            self.assertEqual(a.get(SPACE + token.encode()), said)
            reply = a.command(b"mg %s t\r\n" % (SPACE + token.encode()))
            life = int(reply.split(b" t")[1])
            self.assertLessEqual(life, bound)
            self.assertGreater(life, bound - 30 * SLOW)
        over = self.says("over", {"active": True, "exp": int(time.time()) + 5})
        self.assertEqual(a.get(SPACE + b"over"), over)
        self.assertEqual(a.get(SPACE + b"over"), over)
        self.assertEqual(self.asked("over"), 2)  # Not for a moment longer than it may live.

    def test_every_way_to_read(self):
        (a,) = self.start()
        say = {"active": True}
        said = self.says("t0", say)
        for n in range(1, 9):
            self.authority.say[f"t{n}"] = say
        key, none = SPACE + b"t", 18446744073709551615
        a.set(key + b"8", b"x")
        self.ask(a, b"get %s0 %s8 %s1\r\n" % (key, key, key),
                 b"VALUE %s0 0 %d\r\n%s\r\nVALUE %s8 0 1\r\nx\r\nVALUE %s1 0 %d\r\n%s\r\nEND\r\n"
                 % (key, len(said), said, key, key, len(said), said))
        self.ask(a, b"gets %s2\r\n" % key, b"VALUE %s2 0 %d %d\r\n%s\r\nEND\r\n" % (key, len(said), none, said))
        self.ask(a, b"gat 100 %s3\r\n" % key, b"VALUE %s3 0 %d\r\n%s\r\nEND\r\n" % (key, len(said), said))
        self.ask(a, b"mg %s4 k f c v s Oab t\r\n" % key,
                 b"VA %d k%s4 f0 c%d s%d Oab t300\r\n%s\r\n" % (len(said), key, none, len(said), said))
        self.ask(a, b"mg %s5\r\nmg %s5 s\r\nmg %s5 v N10\r\ntouch %s6 5\r\n" % (key, key, key, key),
                 b"EN\r\nEN\r\nVA 0 W\r\n\r\nNOT_FOUND\r\n")
        self.assertEqual([self.asked(f"t{n}") for n in range(9)], [1, 1, 1, 1, 1, 0, 0, 0, 0])
        self.ask(a, b"cas %s2 0 0 1 %d\r\ny\r\n" % (key, none), b"EXISTS\r\n")

    def test_what_the_token_of_a_key_is(self):
        (a,) = self.start()
        for rest, token in ((b"{u1}:abc", "abc"), (b"{u1}def", "def"), (b"gh{u1}", "gh{u1}"),
                            (b"a&b=c%+/\xc3\xa4", "a&b=c%+/\xe4"), (b"x" * 4000, "x" * 4000)):
            self.assertIn(b'"active"', a.get(SPACE + rest))
            self.assertEqual(self.asked(token), 1, rest[:20])
        self.ask(a, b"get %s %s{u1}\r\nget %s{u1}:\r\n" % (SPACE, SPACE, SPACE), b"END\r\nEND\r\n")
        self.assertEqual(sum(self.authority.asked.values()), 5)

    def test_no_is_kept_for_seconds(self):
        (a,) = self.start('negative_ttl = "1s"\n')
        said = self.says("bad", {"active": False})
        self.assertEqual(a.get(SPACE + b"bad"), said)
        self.assertEqual(a.get(SPACE + b"bad"), said)
        self.assertEqual(self.asked("bad"), 1)
        good = self.says("bad", {"active": True})
        eventually(lambda: a.get(SPACE + b"bad") == good)
        self.assertGreaterEqual(self.tallies(a)["negative_entries"], 1)

    def test_connections_are_used_again(self):
        (a,) = self.start()
        for n in range(20):
            self.assertIsNotNone(a.get(SPACE + b"%d" % n))
        self.assertEqual(len(self.authority.connections), 1)


class Failures(IntrospectionCase):
    def test_what_is_no_answer_is_a_miss_and_not_kept(self):
        (a,) = self.start(endpoint=FOREVER + "breaker_failures = 1000\n")
        for said in (500, 302, 400, 401, b"", b"[]", b"no", b"{}", b'{"active": "true"}', b'{"active": true',
                     b'{"active": true, "x": "' + b"y" * 70000 + b'"}'):
            before = self.asked("t")
            self.authority.say["t"] = said
            self.assertIsNone(a.get(SPACE + b"t"), said)
            self.assertIsNone(a.get(SPACE + b"t"), said)
            self.assertEqual(self.asked("t"), before + 2)
        self.ask(a, b"get %st\r\n" % SPACE, b"END\r\n")
        good = self.says("t", {"active": True})
        self.assertEqual(a.get(SPACE + b"t"), good)
        self.assertEqual(self.tallies(a)["introspection_misses"], 23)

    def test_one_that_does_not_answer_is_not_waited_for(self):
        (a,) = self.start(endpoint='timeout = "200ms"\nbreaker_failures = 1000\n')
        self.authority.gate.clear()
        self.assertIsNone(a.get(SPACE + b"t"))
        self.authority.gate.set()
        eventually(lambda: a.get(SPACE + b"t") is not None)

    def test_a_client_that_leaves_is_no_trouble(self):
        (a,) = self.start()
        self.authority.gate.clear()
        other = Wire(self.proxies[0].port)
        other.send(b"get %st\r\n" % SPACE)
        eventually(lambda: self.asked("t") == 1)
        other.close()
        a.send(b"get %st\r\n" % SPACE)
        self.authority.gate.set()
        self.assertIn(b'"active"', a.until(b"END\r\n"))
        self.assertEqual(self.asked("t"), 1)

    def test_the_breaker_opens_and_closes(self):
        port = free_port()
        (a,) = self.start(endpoint=FOREVER + 'breaker_failures = 3\nbreaker_pause = "300ms"\n',
                          more=f"[admin]\nlisten = {port}\n")
        for n in range(8):
            self.authority.say["t%d" % n] = 503
            self.assertIsNone(a.get(SPACE + b"t%d" % n))
        # A slow machine may be past the pause, and then one of them was the probe.
        self.assertGreaterEqual(sum(self.authority.asked.values()), 3)
        self.proxies[0].says("introspection: main: not asked for 300 ms")
        self.authority.say.clear()
        eventually(lambda: a.get(SPACE + b"t0") is not None)
        self.proxies[0].says("main: it answers again")
        self.assertIsNotNone(a.get(SPACE + b"t1"))
        with Wire(port) as admin:
            admin.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            metrics = admin.until(b"\0").decode()
        self.assertIn('tokenring_introspection_breaker_open{endpoint="main"} 0', metrics)
        self.assertIn('tokenring_introspections_total{endpoint="main",result="active"} 2', metrics)
        self.assertRegex(metrics, r'tokenring_introspections_total\{endpoint="main",result="server_error"\} [3-9]')

    def test_what_a_token_brings_about_does_not_open_the_breaker(self):
        (a,) = self.start(endpoint=FOREVER + 'breaker_failures = 1\nbreaker_pause = "10m"\n')
        for said in (400, 404, b"no"):
            self.authority.say["bad"] = said
            self.assertIsNone(a.get(SPACE + b"bad"))
        self.assertIsNotNone(a.get(SPACE + b"good"))

    def test_another_certificate_is_not_trusted(self):
        other, _ = certificate(self.authority.folder.name, "other")
        (a,) = self.start(ca=other)
        self.assertIsNone(a.get(SPACE + b"secrettoken"))
        self.assertEqual(self.authority.requests, [])
        self.proxies[0].says("introspection: main: no answer: ")
        self.assertNotIn("secrettoken", self.proxies[0].output())

    def test_neither_tokens_nor_secrets_are_told(self):
        (a,) = self.start()
        for said in (500, b"no", {"active": True}):
            self.authority.say["secrettoken"] = said
            a.get(SPACE + b"secrettoken")
        self.proxies[0].says("introspection: main: no answer: it answered 500")
        output = self.proxies[0].output()
        self.assertNotIn("secrettoken", output)
        self.assertNotIn("s3cret", output)


class Signed(IntrospectionCase):
    """Answers that are JWTs (RFC 9701)."""

    TYPE = {"Content-Type": "application/token-introspection+jwt"}
    MORE = FOREVER + 'breaker_failures = 1000\nissuer = "https://as"\njwks_file = '

    def setUp(self):
        super().setUp()
        self.key, self.stranger = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        numbers = self.key.public_key().public_numbers()
        self.jwks = self.authority.file("jwks", json.dumps({"keys": [
            {"kty": "EC", "crv": "P-256", **{name: coded(getattr(numbers, name).to_bytes(32, "big")) for name in "xy"}}]}))

    def jwt(self, said, key=None, typ="token-introspection+jwt", **claims):
        body = {"iss": "https://as", "aud": CLIENT, "iat": int(time.time()), "token_introspection": said, **claims}
        text = ".".join(coded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": typ}, body))
        r, s = decode_dss_signature((key or self.key).sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{coded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}".encode()

    def test_what_is_signed_is_believed_and_nothing_else(self):
        (a,) = self.start(endpoint=f'{self.MORE}"{self.jwks}"\n')
        said = {"active": True, "exp": int(time.time()) + 600, "sub": "u"}
        good = self.jwt(said)
        for n, (body, believed) in enumerate((
                (good, True), (self.jwt(said, aud=["x", CLIENT]), True), (self.jwt({"active": False}), True),
                (self.jwt(said, key=self.stranger), False), (self.jwt(said, typ="JWT"), False),
                (self.jwt(said, iss="https://other"), False), (self.jwt(said, aud="other"), False),
                (self.jwt("active"), False), (self.jwt({}), False), (good[:-4] + b"AAAA", False),
                (good.rpartition(b".")[0] + b".", False), (b"x", False), (b"", False))):
            self.authority.say[f"t{n}"] = (body, self.TYPE)
            value = a.get(SPACE + b"t%d" % n)
            self.assertEqual(value is not None, believed, n)
            if believed:
                self.assertEqual(json.loads(value), {"active": False} if n == 2 else said)
        self.assertIn("application/token-introspection+jwt", self.authority.requests[0][1]["Accept"])
        plain = self.says("plain", {"active": True})
        self.assertEqual(a.get(SPACE + b"plain"), plain)

    def test_without_keys_no_jwt_is_believed(self):
        (a,) = self.start()
        self.authority.say["t"] = (self.jwt({"active": True}), self.TYPE)
        self.assertIsNone(a.get(SPACE + b"t"))
        self.proxies[0].says("the answer is a JWT, and there is no jwks_file to check it by")


class Herds(IntrospectionCase):
    def test_a_thousand_clients_ask_once_by_each_proxy(self):
        self.start("coalesce = true\n", proxies=2, options=("--workers", "2"))
        self.authority.gate.clear()
        said = self.says("hot", {"active": True})
        clients = [self.wire(self.proxies[n % 2]) for n in range(1000)]
        for client in clients:
            client.send(b"get %shot\r\n" % SPACE)
        eventually(lambda: self.asked("hot") == 2)
        self.authority.gate.set()
        expected = b"VALUE %shot 0 %d\r\n%s\r\nEND\r\n" % (SPACE, len(said), said)
        for client in clients:
            self.assertEqual(client.until(b"END\r\n"), expected)
        self.assertEqual(self.asked("hot"), 2)

    def test_with_a_lease_they_ask_once_by_all_proxies(self):
        a, b = self.start('coalesce = true\nherd_wait = "10s"\n', proxies=2, options=("--workers", "2"))
        self.authority.gate.clear()
        said = self.says("hot", {"active": True})
        clients = [self.wire(self.proxies[n % 2]) for n in range(1000)]
        for client in clients:
            client.send(b"get %shot\r\n" % SPACE)
        eventually(lambda: sum(self.tallies(wire)["gets_waited"] for wire in (a, b)) > 1)
        self.authority.gate.set()
        expected = b"VALUE %shot 0 %d\r\n%s\r\nEND\r\n" % (SPACE, len(said), said)
        for client in clients:
            self.assertEqual(client.until(b"END\r\n"), expected)
        self.assertEqual(self.asked("hot"), 1)

    def test_who_waits_in_vain_asks_for_himself(self):
        a, b = self.start('herd_wait = "200ms"\n', proxies=2)
        self.authority.say["t"] = 500
        line = b"get %st\r\n" % SPACE
        self.ask(a, line, b"END\r\n")
        good = self.says("t", {"active": True})
        value = b"VALUE %st 0 %d\r\n%s\r\nEND\r\n" % (SPACE, len(good), good)
        self.ask(b, line, value)  # The lease was the other one's.
        self.ask(b, line, value)
        self.ask(a, line, value)
        self.assertEqual(self.asked("t"), 2)
        self.assertEqual(self.tallies(b)["gets_waited"], 1)

    def test_more_than_may_be_asked_at_once_wait(self):
        (a,) = self.start(endpoint=FOREVER + "concurrent_max = 2\n")
        self.authority.gate.clear()
        a.send(b"".join(b"mg %s%d v\r\n" % (SPACE, n) for n in range(30)))
        eventually(lambda: sum(self.authority.asked.values()) == 2)
        self.authority.gate.set()
        for _ in range(30):
            self.assertTrue(a.line().startswith(b"VA "))
            a.line()
        self.assertEqual(len(self.authority.connections), 2)

    def test_namespaces_share_no_answer(self):
        (a,) = self.start(more='[[namespaces]]\nprefix = "other:"\n' + RULES)
        self.assertIsNotNone(a.get(SPACE + b"t"))
        self.assertIsNotNone(a.get(b"other:t"))
        self.assertEqual(self.asked("t"), 2)


class Guesses(IntrospectionCase):
    def test_who_has_had_too_many_noes_is_not_asked_for(self):
        port = free_port()
        who = ('[[identities]]\nname = "app"\nnetworks = "127.0.0.1"\nallow = [{ rights = ["read", "stats"] }]\n'
               'negative_per_second = 1\nburst = "3s"\n')
        text = config([self.memcached()], self.keys, RULES, more=self.authority.table(FOREVER) + who)
        proxy = self.proxy(config=f'listen = {{ address = "127.0.0.1:{port}", identify = true }}\n{text}', port=port)
        wire = self.wire(proxy)
        for n in range(60):
            self.authority.say[f"guess{n}"] = {"active": False}
        wire.send(b"".join(b"mg %sguess%d v\r\n" % (SPACE, n) for n in range(60)))
        for _ in range(60):  # They are under way before the first is answered, or not asked.
            if wire.line().startswith(b"VA "):
                wire.line()
        self.assertIsNone(wire.get(SPACE + b"good"))
        self.assertEqual(self.asked("good"), 0)
        self.assertGreaterEqual(self.tallies(wire)["negatives_refused"], 1)
        proxy.says("rate limited (identity app")


class Changes(IntrospectionCase):
    def test_a_revocation_ends_what_was_introspected(self):
        a, b = self.start("revocable = true\n", proxies=2)
        key = SPACE + b"{u1}:t"
        self.assertIsNotNone(a.get(key))
        eventually(lambda: self.tallies(a)["sealed"] == 1)
        self.assertIsNotNone(a.get(key))  # Behind the set, so that it is there.
        self.assertIsNotNone(b.get(key))
        self.assertEqual(self.asked("t"), 1)
        self.ask(b, b"delete %s{u1}\r\n" % SPACE, b"DELETED\r\n")
        gone = self.says("t", {"active": False})
        self.assertEqual([a.get(key), b.get(key)], [gone, gone])

    def test_what_was_asked_before_a_revocation_is_not_stored_after_it(self):
        a, b = self.start("revocable = true\n", proxies=2)
        key = SPACE + b"{u1}:t"
        self.assertIsNotNone(a.get(SPACE + b"{u1}:other"))  # Makes the marker.
        self.authority.gate.clear()
        a.send(b"mg %s v\r\n" % key)
        eventually(lambda: self.asked("t") == 1)
        old = self.says("t", {"active": True, "old": True})
        self.ask(b, b"delete %s{u1}\r\n" % SPACE, b"DELETED\r\n")
        b.send(b"mg %s v\r\n" % key)  # Shares nothing that was asked before.
        eventually(lambda: self.asked("t") == 2)
        again = self.wire(self.proxies[0])
        again.send(b"mg %s v\r\n" % key)
        eventually(lambda: self.asked("t") == 3)
        self.authority.gate.set()
        for wire in (a, b, again):
            self.assertTrue(wire.line().startswith(b"VA "))
            self.assertEqual(wire.line(), old + b"\r\n")
        self.assertEqual(self.tallies(a)["introspected"], 3)

    def test_a_delete_parts_those_that_ask_after_it(self):
        (a,) = self.start(options=("--workers", "2"))
        key = SPACE + b"t"
        first = self.says("t", {"active": True, "n": 1})
        self.assertEqual(a.get(key), first)
        second = self.says("t", {"active": True, "n": 2})
        eventually(lambda: a.command(b"delete %s\r\n" % key) == b"DELETED\r\n")
        for _ in range(4):
            self.assertEqual(self.wire(self.proxies[0]).get(key), second)
        self.assertEqual(self.asked("t"), 2)
        third = self.says("t", {"active": True, "n": 3})
        self.ask(a, b"flush_all\r\n", b"OK\r\n")
        self.assertEqual(a.get(key), third)

    def test_a_reload_under_way(self):
        (a,) = self.start()
        proxy = self.proxies[0]
        proxy.wait_for_control()
        whole = self.proxies[0].config_file
        with open(whole.name, encoding="utf-8") as file:
            text = file.read()
        self.authority.gate.clear()
        a.send(b"get %st1\r\n" % SPACE)
        eventually(lambda: self.asked("t1") == 1)
        proxy.configure(text.replace('fill = "main"\n', ""))
        self.assertEqual(proxy.ask("reload")[0], 0)
        b = self.wire(proxy)
        self.assertIsNone(b.get(SPACE + b"t2"))
        self.authority.gate.set()
        self.assertEqual(a.until(b"END\r\n"), b"END\r\n")
        proxy.configure(text)
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.assertIsNotNone(b.get(SPACE + b"t2"))
        self.assertEqual(self.asked("t2"), 1)


class Files(IntrospectionCase):
    def refused(self, more, rules=RULES):
        with self.assertRaisesRegex(AssertionError, "ended at once") as caught:
            self.sealed(("embedded",), rules=rules, more=more)
        return str(caught.exception)

    def test_secrets_are_read_from_closed_files_only(self):
        for mode in (0o644, 0o640):
            open_one = self.authority.file("open", "x\n", mode)
            self.assertIn("lets others in", self.refused(self.authority.table(secret=open_one)))
        os.symlink(self.authority.secret, self.authority.folder.name + "/link")
        link = self.authority.folder.name + "/link"
        self.assertIn("is a symbolic link", self.refused(self.authority.table(secret=link)))
        self.assertIn("is no secret", self.refused(self.authority.table(secret=self.authority.file("none", "\n"))))

    def test_a_bearer_token(self):
        bearer = self.authority.file("bearer", "abc.def\n")
        table = (f'[introspection.main]\nurl = "{self.authority.url}"\nbearer_file = "{bearer}"\n'
                 f'ca = "{self.authority.ca}"\n{FOREVER}')
        a = self.wire(self.sealed((self.memcached(),), rules=RULES, more=table))
        self.assertIsNotNone(a.get(SPACE + b"t"))
        self.assertEqual(self.authority.requests[0][1]["Authorization"], "Bearer abc.def")

    def test_what_is_asked_for_in_vain(self):
        table = self.authority.table()
        for what, more, rules in (
                ("in plain text", table.replace(self.authority.url, "http://10.0.0.1/x"), RULES),
                ("there is no [introspection.main]", "", RULES),
                ("needs ttl_cap", table, RULES.replace('ttl_cap = "5m"\n', "")),
                ('needs seal = "require"', table, 'fill = "main"\nttl_cap = "5m"\n'),
                ("used up", table, RULES + "one_time = true\n"),
                ("needs ttl_from_token", table, RULES + "ttl_from_token = false\n")):
            self.assertIn(what, self.refused(more, rules))

    def test_tokens_that_nodes_can_read_are_warned_of(self):
        proxy = self.sealed(("embedded",), rules=RULES.replace("blind_keys = true\n", ""),
                            more=self.authority.table())
        proxy.says("fill: leaves tokens readable in the nodes")


if __name__ == "__main__":
    unittest.main()
