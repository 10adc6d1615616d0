"""The admin page in a real browser: what it shows is what the proxy does, and it asks nobody else."""
import os
import subprocess
import tempfile
import unittest

from browser import Browser, has_browser
from harness import BINARY, TIMEOUT, Case, eventually, slow
from load import Load
from scrape import AdminProxy
from sealed import KeyFile

# Rows of a table as objects, by the labels of its columns.
ROWS = """return [...document.querySelectorAll(`${arguments[0]} tbody tr`)].map(row => Object.fromEntries(
    [...row.cells].map(cell => [cell.dataset.label, cell.textContent])))"""
SEGMENTS = """return [...document.querySelectorAll("#ring path[data-node]")].map(path =>
    [path.dataset.node, path.classList.contains("down") ? "down" : "up", path.textContent])"""
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@unittest.skipUnless(has_browser, "Chromium, its driver or python3-selenium is not installed")
@slow
class Page(Case):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def start(self, config, *options, **more):
        proxy = AdminProxy(config, *options, **more)
        self.addCleanup(proxy.finish)
        proxy.wait_for_control()
        proxy.page = f"http://127.0.0.1:{proxy.admin}/"
        return proxy

    def show(self, proxy, width=1280, **more):
        """Opens the page, without what another left."""
        self.browser.open("about:blank")
        self.browser.requests()
        self.browser.complaints()
        self.browser.asked.clear()
        self.browser.screen(width, **more)
        self.browser.open(proxy.page)

    def rows(self, table):
        return self.browser.run(ROWS, table)

    def shown(self, table, count=1):
        return eventually(lambda: (rows := self.rows(table)) and len(rows) >= count and rows, 4 * TIMEOUT, f"{table} is shown")

    def where(self, proxy, key, *options):
        """The columns of `tokenring where`."""
        done = subprocess.run([BINARY, "where", "-c", proxy.config_file.name, *options, "--", key], capture_output=True,
                              text=True, timeout=8 * TIMEOUT, check=True)
        return done.stdout.rstrip("\n").split("\t")

    def explained(self, key, exptime="0"):
        """The answer of the box, by name."""
        self.browser.run('document.getElementById("exptime").value = arguments[0]', exptime)
        self.browser.type("#key", key)
        return self.browser.until("""const terms = [...document.querySelectorAll("#where-answer dt")];
            return terms.length && Object.fromEntries(terms.map(t => [t.textContent, t.nextSibling.textContent]))""",
                                  "the key is explained")

    def is_clean(self, proxy):
        """No complaint, and no request but to the proxy."""
        self.assertEqual(self.browser.complaints(), [])
        asked = self.browser.requests()
        self.assertTrue(any(url.endswith("/status.json") for url in asked))
        strangers = [url for url in asked if not url.startswith((proxy.page, "about:", "data:"))]
        self.assertEqual(strangers, [])

    def fleet_config(self, nodes, keys):
        named = ", ".join(f'{{ address = "{n.address}", name = "cache-{i}", weight = {i + 1} }}' for i, n in enumerate(nodes))
        return (f'keys.file = "{keys.path}"\n[pools.main]\nnodes = [{named}]\n'
                '[[namespaces]]\nprefix = "plain:"\nttl_cap = 100\n'
                '[[namespaces]]\nprefix = "auth:"\nseal = "require"\nblind_keys = true\nttl_cap = "15m"\n')

    def test_it_shows_what_the_proxy_does(self):
        nodes = [self.memcached() for _ in range(3)]
        keys = KeyFile()
        proxy = self.start(self.fleet_config(nodes, keys), "--workers", "2")
        wire = self.wire(proxy)
        wire.set(b"auth:planted", b"v")
        hidden = self.where(proxy, "auth:planted")[4].encode()
        holder = next(n for n in nodes if self.wire(n).get(hidden) is not None)
        self.wire(holder).set(hidden, b"not sealed")
        self.assertIsNone(wire.get(b"auth:planted"))
        self.show(proxy)

        rows = self.shown("#nodes", 3)
        self.assertEqual({r["node"] for r in rows}, {f"cache-{i} ({n.address})" for i, n in enumerate(nodes)})
        self.assertEqual({r["state"] for r in rows}, {"up"})
        # Weights 1, 2 and 3: ketama follows them within a few parts in a thousand.
        shares = {r["node"][:7]: float(r["share"].split()[0]) for r in rows}
        for i in range(3):
            self.assertAlmostEqual(shares[f"cache-{i}"], 100 * (i + 1) / 6, delta=0.5)
        segments = self.browser.run(SEGMENTS)
        self.assertEqual([(name, state) for name, state, _ in segments], [(f"cache-{i}", "up") for i in range(3)])
        for name, _, title in segments:
            self.assertIn(f"{name}: up, {shares[name]:.1f} % of the keys", title)
        self.assertEqual(self.browser.text("#state"), "serving")
        self.assertIn("Ring of pool main: 3 of 3 nodes up", self.browser.run('return document.getElementById("ring-name").textContent'))

        # Values that did not open, and what is told of them.
        self.assertEqual(self.shown("#failures")[0]["reason"], "plaintext")
        events = self.browser.text("#events")
        self.assertIn("a value did not open: plaintext (namespace \"auth:\"", events)
        self.assertIn(self.where(proxy, "auth:planted", "--reference")[6], events)
        self.assertNotIn("planted", events)
        self.assertEqual(self.rows("#keys")[0]["role"], "primary")

        # A node that goes, and comes back.
        nodes[2].kill()
        self.browser.until('return document.querySelector("#ring path.down[data-node=cache-2]")', "a node is shown as down")
        self.browser.until('return document.getElementById("events").textContent.includes("node down")', "its end is told")
        self.assertIn("to 2 of 3", self.browser.run('return document.querySelector("#ring svg").textContent'))
        self.browser.shoot("down-1280-light")
        nodes[2].restart()
        self.browser.until('return !document.querySelector("#ring path.down")', "it is up again")
        self.is_clean(proxy)

    def test_it_shows_anomalies_of_the_audit_log(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        keys = KeyFile()
        proxy = self.start(self.fleet_config([self.memcached()], keys) +
                           '[[namespaces]]\nprefix = "jti:"\nseal = "require"\nblind_keys = true\nreplay_guard = true\n'
                           f'[audit]\nfile = "{folder.name}/audit.jsonl"\nsample_gets = 0\nsample_writes = 0\n')
        wire = self.wire(proxy)
        self.show(proxy)
        self.ask(wire, b"add jti:known 0 60 1\r\n1\r\n", b"STORED\r\n")
        for _ in range(3):
            self.ask(wire, b"add jti:known 0 60 1\r\n1\r\n", b"NOT_STORED\r\n")
        wire.command(b"stats cachedump 1 10\r\n")
        self.browser.until('return document.getElementById("events").textContent.includes("cachedump")', "the anomalies are shown")
        told = self.browser.run("""return [...document.querySelectorAll("#events li")].map(li =>
            [li.querySelector("b").textContent, li.textContent])""")
        told = [text for kind, text in told if kind == "audit"]
        self.assertEqual(len(told), 2)
        self.assertIn("command: command not allowed through tokenring (stats cachedump, 127.0.0.1)", told[0])
        reference = self.where(proxy, "jti:known", "--reference")[6]
        self.assertIn(f'write: replay refused (add, namespace "jti:", key reference {reference}, 127.0.0.1)', told[1])
        self.assertIn("(3 times since", told[1])
        self.assertNotIn("known", "".join(told))
        self.browser.shoot("anomalies-1280-light")
        # Many of them push out no other trouble, and no more than 32 are kept.
        for n in range(40):
            self.ask(wire, b"add jti:%d 0 60 1\r\n1\r\nadd jti:%d 0 60 1\r\n1\r\n" % (n, n), b"STORED\r\nNOT_STORED\r\n")
        last = self.where(proxy, "jti:39", "--reference")[6]
        self.browser.until(f'return document.getElementById("events").textContent.includes("{last}")', "the last one is shown")
        kinds = self.browser.run('return [...document.querySelectorAll("#events b")].map(b => b.textContent)')
        self.assertEqual(kinds.count("audit"), 32)
        self.is_clean(proxy)

    def test_hit_ratio_and_load_follow_the_traffic(self):
        nodes = [self.memcached() for _ in range(2)]
        proxy = self.start(f'[pools.main]\nnodes = ["{nodes[0].address}", "{nodes[1].address}"]\n'
                           '[[namespaces]]\nprefix = "hit:"\n[[namespaces]]\nprefix = "miss:"\n')
        self.show(proxy)
        wire = self.wire(proxy)
        wire.set(b"hit:k", b"v")

        def space(name):
            return next(r for r in self.rows("#spaces") if r["namespace"] == name)

        def drive(key, wanted):
            for _ in range(20):
                wire.get(key)
            return space(key.split(b":")[0].decode() + ":")["hit ratio"] == wanted

        self.shown("#spaces", 3)
        eventually(lambda: drive(b"hit:k", "100.0 %"), 4 * TIMEOUT, "all hits")
        row = space("hit:")
        self.assertRegex(row["requests/s"], r"^[\d.]+k?$")
        self.assertRegex(row["p50"], r"^[\d.]+ (µs|ms)$")
        self.assertRegex(row["p99"], r"^[\d.]+ (µs|ms)$")
        self.assertEqual(space("miss:")["hit ratio"], "–")
        eventually(lambda: drive(b"miss:k", "0.0 %"), 4 * TIMEOUT, "all misses")

        def mixed():
            wire.get(b"hit:gone")
            ratio = space("hit:")["hit ratio"]
            return drive(b"hit:k", "never") or (ratio.endswith(" %") and 80 < float(ratio[:-2]) < 100)

        eventually(mixed, 6 * TIMEOUT, "hits and a few misses")
        self.browser.until("""const loads = [...document.querySelectorAll("#nodes td[data-label='requests/s']")];
            return loads.some(cell => parseFloat(cell.textContent) > 0) && document.querySelector("#ring path.load")""",
                           "the node's load is shown")
        self.is_clean(proxy)

    def test_a_key_is_explained_as_where_explains_it(self):
        nodes = [self.memcached() for _ in range(3)]
        keys = KeyFile()
        proxy = self.start(self.fleet_config(nodes, keys))
        self.show(proxy)
        self.shown("#nodes", 3)
        for key, exptime in (("plain:a", "0"), ("plain:a", "50"), ("other", "0"), ("auth:secret-word", "0"),
                             ("auth:{user42}:tok", "3600"), ("ключ%&+?#=", "7"), (r"b\x00\xff\x5cx41", "0"), ("a b", "0")):
            _, space, pool, node, node_key, life = self.where(proxy, key, "--exptime", exptime)
            answer = self.explained(key, exptime)
            said = answer["life"].split(" s ")[0].replace("never ends", "never")
            seen = answer["key at the node"].removesuffix(" (blinded)")
            self.assertEqual((answer["namespace"], answer["pool"], answer["node"], seen, said),
                             (space, pool, node, node_key, life), key)
            self.assertEqual(answer["key at the node"].endswith(" (blinded)"), key.startswith("auth:"))
        self.browser.type("#key", "x" * 251)
        self.browser.until('return document.getElementById("where-error").textContent.startsWith("a key of 251 bytes")', "an error")
        self.browser.run('document.querySelector("#where-error").textContent = ""')
        self.assertEqual(self.browser.run('return document.querySelectorAll("#where-answer *").length'), 0)
        self.assertNotIn("secret-word", proxy.output())
        complaints = [c for c in self.browser.complaints() if "400 (Bad Request)" not in c]
        self.assertEqual(complaints, [])

    def test_it_asks_for_the_token(self):
        with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
            file.write("correct-horse-battery")
            file.flush()
            os.chmod(file.name, 0o600)
            proxy = self.start("", admin=f'token_file = "{file.name}"')
            self.show(proxy, 400)
            self.browser.until('return !document.getElementById("login").hidden', "the page asks for the token")
            self.assertTrue(self.browser.run('return document.getElementById("main").hidden'))
            self.browser.shoot("token-400-light")
            self.browser.type("#token", "wrong-horse-battery")
            self.browser.until('return document.getElementById("login-error").textContent === "That is not the token."', "refused")
            self.browser.type("#token", "correct-horse-battery")
            self.shown("#nodes")
            self.assertEqual(self.explained("k")["node"], "embedded")
            # It stays with the tab, and is in no cookie and no address.
            self.browser.driver.refresh()
            self.shown("#nodes")
            self.assertEqual(self.browser.driver.get_cookies(), [])
            self.assertNotIn("horse", " ".join(self.browser.requests()))
            self.browser.run("sessionStorage.clear()")

    def test_small_and_large_screens_in_either_colour(self):
        nodes = [self.memcached() for _ in range(4)]
        keys = KeyFile()
        spaces = "".join(f'[[namespaces]]\nprefix = "service-{i}:"\n' for i in range(12))
        proxy = self.start(self.fleet_config(nodes, keys) + spaces, "--workers", "2")
        nodes[1].kill()
        with Load(proxy.port) as load:
            load.wait_for(200)
            for width, dark in ((400, False), (400, True), (1280, False), (1280, True)):
                with self.subTest(width=width, dark=dark):
                    self.show(proxy, width, dark=dark)
                    self.shown("#nodes", 4)
                    self.browser.until('return document.querySelector("#ring path.load")', "load is shown")
                    self.explained("auth:x")
                    self.assertEqual(self.browser.run("return innerWidth"), width)
                    self.assertLessEqual(self.browser.run(OVERFLOW), 0)
                    self.browser.shoot(f"page-{width}-{'dark' if dark else 'light'}")
                    back = self.browser.run("return getComputedStyle(document.body).backgroundColor")
                    light = sum(int(n) for n in back.strip("rgb()").split(","))
                    self.assertEqual(light < 3 * 128, dark, back)
                    self.is_clean(proxy)

    def test_a_large_fleet_stays_usable(self):
        """200 nodes of which none is there, and 100 namespaces."""
        addresses = [f'"127.0.0.1:{port}"' for port in range(1, 201)]
        spaces = "".join(f'[[namespaces]]\nprefix = "space-{i}:"\n' for i in range(100))
        proxy = self.start(f'[pools.main]\nnodes = [{", ".join(addresses)}]\nretry_max = "10s"\n{spaces}')
        self.show(proxy, 400)
        self.shown("#nodes", 10)
        for table, count in (("#nodes", 200), ("#spaces", 101)):
            self.assertEqual(len(self.rows(table)), 10)
            self.assertIn(f"10 of {count}", self.browser.text(f"{table} .tools"))
            self.browser.run("document.querySelector(arguments[0]).click()", f"{table} .more")
            self.assertEqual(len(self.rows(table)), min(count, 110))
        self.browser.find("#nodes input").send_keys("127.0.0.1:77")
        self.browser.until('return document.querySelectorAll("#nodes tbody tr").length === 1', "the node that is sought")
        self.browser.run("""[...document.querySelectorAll("#spaces th button")].find(b => b.textContent === "namespace").click()""")
        names = [r["namespace"] for r in self.rows("#spaces")]
        self.assertEqual(names, ["-", *(f"space-{i}:" for i in range(100))])
        self.assertLessEqual(self.browser.run(OVERFLOW), 0)
        self.assertEqual(len(self.browser.run(SEGMENTS)), 200)
        self.browser.shoot("large-400-light")
        self.is_clean(proxy)


if __name__ == "__main__":
    unittest.main()
