"""The admin port: what it answers, whom it lets in, and that nothing done to it reaches clients."""
import json
import os
import random
import re
import signal
import socket
import tempfile
import threading
import unittest

from harness import SLOW, WORKERS, Case, eventually, free_port, slow
from load import Load
from scrape import AdminProxy, counters, exchange, parse, request


def pool(*nodes, name="main", **more):
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in more.items()]
    return "\n".join([f"[pools.{name}]", f"nodes = {[n.address for n in nodes]}".replace("'", '"'), *lines, ""])


class Admin(Case):
    def start(self, *arguments, **more):
        proxy = AdminProxy(*arguments, **more)
        self.addCleanup(proxy.finish)
        return proxy

    def token_file(self, token, mode=0o600):
        file = tempfile.NamedTemporaryFile("w", suffix=".token")
        self.addCleanup(file.close)
        file.write(token)
        file.flush()
        os.chmod(file.name, mode)
        return file.name

    def comes_up(self, proxy):
        eventually(lambda: proxy.ready() == (200, "ready\n"), what="ready")

    # -- What it answers.

    def test_paths_and_methods(self):
        proxy = self.start()
        self.comes_up(proxy)
        status, headers, body = request(proxy.admin, "/metrics")
        self.assertEqual((status, headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertEqual(int(headers["content-length"]), len(body))
        self.assertEqual(request(proxy.admin, "/healthz")[::2], (200, b"ok\n"))
        for path in ("/metrics", "/healthz", "/readyz"):
            status, headers, body = request(proxy.admin, path, method="HEAD")
            self.assertEqual((status, body), (200, b""), path)
            self.assertGreater(int(headers["content-length"]), 2)
            self.assertEqual(request(proxy.admin, path, method="POST")[0], 411)
            self.assertEqual(request(proxy.admin, path, method="POST", headers=[("Content-Length", "0")])[0], 404)
            for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
                status, headers, body = request(proxy.admin, path, method=method)
                self.assertEqual((status, headers["allow"]), (405, "GET, HEAD, POST"), (method, path))
        for path in ("/index.html", "/page", "/metrics/", "/Metrics", "/metrics/../metrics", "//metrics", "/favicon.ico"):
            self.assertEqual(request(proxy.admin, path)[0], 404, path)
        self.assertEqual(request(proxy.admin, "/metrics?name=x")[0], 200)

    def test_the_page_and_its_data(self):
        node = self.memcached()
        proxy = self.start(pool(node) + '[[namespaces]]\nprefix = "s:"\nttl_cap = 60\n')
        self.comes_up(proxy)
        host = [("Host", f"127.0.0.1:{proxy.admin}")]

        def ask(path, headers=host):
            status, headers, body = request(proxy.admin, path, headers=headers)
            return status, headers["content-type"], body

        status, kind, body = ask("/")
        self.assertEqual((status, kind), (200, "text/html; charset=utf-8"))
        named = re.findall(rb'(?:src|href)="([^"]+)"', body)
        self.assertEqual(sorted(named), [b"icon.svg", b"page.css", b"page.js"])
        for name in named + re.findall(rb'from "\./([^"]+)"', ask("/page.js")[2]):
            status, kind, body = ask(f"/{name.decode()}")
            self.assertEqual(status, 200, name)
            self.assertIn(kind.split(";")[0], ("text/css", "text/javascript", "image/svg+xml"))
        wire = self.wire(proxy)
        wire.set(b"s:k", b"v")
        self.assertEqual(wire.get(b"s:k"), b"v")
        self.assertIsNone(wire.get(b"s:none"))

        def space():
            status, kind, body = ask("/status.json")
            self.assertEqual((status, kind), (200, "application/json"))
            return next(s for s in json.loads(body)["namespaces"] if s["namespace"] == "s:")

        eventually(lambda: space()["get_misses"] == 1, what="counts")
        counted = space()
        self.assertEqual((counted["cmd_get"], counted["cmd_set"], counted["get_hits"], counted["ttl_capped"]), (2, 1, 1, 1))
        eventually(lambda: sum(space()["latency"][1:]) == 3, what="each answer has its time")
        eventually(lambda: json.loads(ask("/where?key=s%3ak")[2])["node_state"] == "up", what="the node is up")
        status, kind, body = ask("/where?key=s%3ak")
        self.assertEqual((status, kind), (200, "application/json"))
        place = json.loads(body)
        self.assertEqual((place["node"], place["node_state"], place["namespace"], place["life_s"]),
                         (node.address, "up", "s:", 60))
        for path, error in (("/where", "an empty key"), ("/where?key=" + "a" * 251, "a key of 251 bytes"),
                            ("/where?key=a&exptime=b", "exptime is no number")):
            status, kind, body = ask(path)
            self.assertEqual((status, kind), (400, "application/json"))
            self.assertTrue(json.loads(body)["error"].startswith(error), body)
        # A site whose name leads here is not shown the data; who asks with a token is.
        for name in ("rebound.example", "127.0.0.1.example", "localhost.example:80", "x"):
            for path in ("/status.json", "/where?key=a"):
                self.assertEqual(ask(path, [("Host", name)])[0], 403, name)
        for name in ("localhost", f"localhost:{proxy.admin}", "127.0.0.1", "[::1]:80", "10.0.0.1:80"):
            self.assertEqual(ask("/status.json", [("Host", name)])[0], 200, name)
        self.assertEqual(exchange(proxy.admin, b"GET /status.json HTTP/1.0\r\n\r\n")[:15], b"HTTP/1.1 200 OK")

    def test_the_page_without_its_token_has_no_data(self):
        proxy = self.start(admin=f'token_file = "{self.token_file("correct-horse-battery")}"')
        self.comes_up(proxy)
        for path in ("/", "/page.js", "/page.css"):
            self.assertEqual(request(proxy.admin, path)[0], 200, path)
        for path in ("/status.json", "/where?key=a"):
            self.assertEqual(request(proxy.admin, path)[0], 401, path)
            headers = [("Authorization", "Bearer correct-horse-battery")]
            self.assertEqual(request(proxy.admin, path, headers=headers)[0], 200, path)

    def test_a_port_of_ipv6_and_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/admin"
            proxy = self.proxy((), config=f'[admin]\nlisten = "unix:{path}"\n')
            proxy.wait_for_control()
            self.assertEqual(request(path, "/healthz")[0], 200)
            proxy.child.terminate()
            self.assertEqual(proxy.wait_for_end(), 0)
            self.assertFalse(os.path.exists(path))
        port = free_port()
        proxy = self.proxy((), config=f'[admin]\nlisten = "[::1]:{port}"\n')
        proxy.wait_for_control()
        with socket.create_connection(("::1", port), 5 * SLOW) as wire:
            wire.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            self.assertTrue(wire.recv(100).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_it_is_off_unless_the_file_says_otherwise(self):
        proxy = self.proxy()
        proxy.wait_for_control()
        self.assertEqual(proxy.status()["admin"], "-")
        self.assertNotIn("admin", proxy.output())

    def test_an_address_in_use_ends_the_start(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with self.assertRaisesRegex(AssertionError, "admin: 127.0.0.1:.*: Address already in use"):
                self.proxy((), config=f"[admin]\nlisten = {taken.getsockname()[1]}\n")

    # -- Whom it lets in.

    def test_a_token(self):
        path = self.token_file("correct-horse-battery\n")
        node = self.memcached()
        proxy = self.start(pool(node), admin=f'token_file = "{path}"')
        self.comes_up(proxy)

        def status_with(*values):
            return request(proxy.admin, "/metrics", headers=[("Authorization", v) for v in values])[0]

        self.assertEqual(status_with("Bearer correct-horse-battery"), 200)
        for bad in ("Bearer correct-horse-batterz", "Bearer correct-horse-batter", "Bearer ", "correct-horse-battery",
                    "Basic correct-horse-battery", "Bearer correct-horse-battery-"):
            self.assertEqual(status_with(bad), 401, bad)
        self.assertEqual(status_with(), 401)
        status, headers, _ = request(proxy.admin, "/unknown")
        self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
        # Probes show no token, and then are told no reason.
        self.assertEqual(request(proxy.admin, "/healthz")[0], 200)
        node.kill()
        eventually(lambda: proxy.ready() == (503, "not ready\n"), what="not ready")
        headers = [("Authorization", "Bearer correct-horse-battery")]
        self.assertEqual(request(proxy.admin, "/readyz", headers=headers)[::2], (503, b"no node of pool main is up\n"))
        self.assertNotIn("correct-horse", proxy.output())

    def test_a_token_changes_by_a_reload(self):
        path = self.token_file("the-first-of-the-tokens")
        proxy = self.start(admin=f'token_file = "{path}"')
        proxy.wait_for_control()

        def status_with(token):
            return request(proxy.admin, "/metrics", headers=[("Authorization", f"Bearer {token}")])[0]

        self.assertEqual(status_with("the-first-of-the-tokens"), 200)
        with open(path, "w", encoding="ascii") as file:
            file.write("another-of-the-tokens")
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.assertEqual((status_with("the-first-of-the-tokens"), status_with("another-of-the-tokens")), (401, 200))
        os.chmod(path, 0o644)
        code, _, errors = proxy.ask("reload")
        self.assertEqual(code, 1)
        self.assertIn("has mode 0644, which lets others in", errors)
        self.assertEqual(status_with("another-of-the-tokens"), 200)

    def test_check_knows_the_token_file(self):
        good = self.token_file("correct-horse-battery\n")
        config = f'[admin]\nlisten = "0.0.0.0:{free_port()}"\ntoken_file = "%s"\n'
        proxy = self.proxy((), config=config % good)
        self.assertTrue(proxy.ask("status")[1])
        for content, mode, complaint in (("short", 0o600, "is no token"), ("a" * 1025, 0o600, "is no token"),
                                         ("correct horse battery", 0o600, "has a character that no token has"),
                                         ("correct-horse-battery", 0o640, "has mode 0640")):
            proxy.configure(config % self.token_file(content, mode))
            code, output, errors = proxy.ask("--check")
            self.assertEqual((code, output), (1, ""), content)
            self.assertIn(complaint, errors)
            self.assertNotIn(content, errors)
        proxy.configure(config % "/nonexistent")
        self.assertIn("/nonexistent: cannot read", proxy.ask("--check")[2])
        proxy.configure(config % good)
        code, output, _ = proxy.ask("--check")
        self.assertEqual(code, 0)
        self.assertIn("; admin on 0.0.0.0:", output)

    def test_a_reload_does_not_open_it_to_others(self):
        path = self.token_file("correct-horse-battery")
        port = free_port()
        proxy = self.proxy((), config=f'[admin]\nlisten = "0.0.0.0:{port}"\ntoken_file = "{path}"\n')
        proxy.wait_for_control()
        proxy.configure("[admin]\nlisten = 1\n")
        self.assertEqual(proxy.ask("reload")[0], 0)
        proxy.says("admin.listen, admin.token_file cannot change while the process runs; kept")
        self.assertEqual(request(port, "/metrics")[0], 401)

    # -- Readiness.

    def test_ready_follows_the_nodes(self):
        one, two, other = (self.memcached() for _ in range(3))
        proxy = self.start(pool(one, two) + pool(other, name="other") +
                           '[[namespaces]]\nprefix = ""\npool = "main"\n[[namespaces]]\nprefix = "o:"\npool = "other"\n')
        self.comes_up(proxy)
        one.kill()
        proxy.reaches(0, "tokenring_node_up", pool="main", node=one.address)
        self.assertEqual(proxy.ready(), (200, "ready\n"))
        proxy.reaches(1, "tokenring_pool_nodes_up", pool="main")
        two.kill()
        eventually(lambda: proxy.ready() == (503, "no node of pool main is up\n"), what="not ready")
        proxy.reaches(0, "memcached_up")
        self.assertEqual(request(proxy.admin, "/healthz")[0], 200)
        one.restart()
        self.comes_up(proxy)
        other.kill()
        eventually(lambda: proxy.ready() == (503, "no node of pool other is up\n"), what="not ready")
        # A pool that leaves is no reason any more.
        proxy.configure(pool(one))
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.comes_up(proxy)
        self.assertIsNone(proxy.metric("tokenring_pool_nodes", pool="other"))

    def test_not_ready_while_draining(self):
        proxy = self.start('drain_timeout = "60s"\n')
        self.comes_up(proxy)
        busy = self.wire(proxy)
        busy.send(b"set k 0 0 5\r\nhe")
        proxy.reaches(1, "memcached_current_connections")
        proxy.child.send_signal(signal.SIGTERM)
        eventually(lambda: proxy.ready() == (503, "draining\n"), what="draining")
        self.assertEqual(request(proxy.admin, "/healthz")[0], 200)
        proxy.reaches(1, "tokenring_draining")
        proxy.reaches(0, "memcached_up")
        busy.send(b"llo\r\n")
        self.assertEqual(busy.line(), b"STORED\r\n")
        self.assertEqual(proxy.wait_for_end(), 0)

    def test_a_successor_takes_the_port(self):
        old = self.start('drain_timeout = "60s"\n')
        self.comes_up(old)
        old.wait_for_control()
        old_pid = old.status()["pid"]
        busy = self.wire(old)
        busy.send(b"set k 0 0 5\r\nhe")
        old.reaches(1, "memcached_current_connections")
        new = self.proxy((), "--takeover", config=old.table, port=old.port)
        eventually(lambda: "info admin: listening" in new.output(), what="the successor has the port")
        self.assertNotEqual(eventually(new.status, what="status")["pid"], old_pid)
        eventually(lambda: old.ready() == (200, "ready\n"), what="the successor is ready")
        self.assertEqual(old.metric("memcached_current_connections"), 0)  # Told by the successor.
        busy.send(b"llo\r\n")
        self.assertEqual(busy.line(), b"STORED\r\n")
        self.assertEqual(old.wait_for_end(), 0)

    # -- Counts.

    def test_counts_do_not_fall(self):
        node = self.memcached()
        config = pool(node) + '[[namespaces]]\nprefix = "s:"\nttl_cap = %d\n'
        proxy = self.start(config % 100)
        proxy.wait_for_control()
        wire = self.wire(proxy)
        for number in range(5):
            wire.set(b"s:%d" % number, b"v")
            self.assertIsNone(wire.get(b"s:none"))
        proxy.reaches(5, "tokenring_namespace_requests_total", namespace="s:", command="set")
        text = proxy.scrape()
        before, names = parse(text), counters(text)
        self.assertEqual(wire.command(b"stats reset\r\n"), b"RESET\r\n")
        for number in range(1, 4):
            proxy.configure('[[namespaces]]\nprefix = "r:"\n' + config % (100 + number))
            self.assertEqual(proxy.ask("reload")[0], 0)
            wire.set(b"s:1", b"v")
            after = parse(proxy.scrape())
            for series, value in before.items():
                if series[0] in names:
                    self.assertGreaterEqual(after[series], value, series)
            before = after
            proxy.reaches(number, "tokenring_config_reloads_total", result="ok")
        proxy.reaches(8, "tokenring_namespace_requests_total", namespace="s:", command="set")
        proxy.reaches(5, "tokenring_namespace_gets_total", namespace="s:", result="miss")
        proxy.reaches(8, "tokenring_namespace_ttl_capped_total", namespace="s:", reason="cap")
        loaded = proxy.metric("tokenring_config_last_reload_success_timestamp_seconds")
        proxy.configure("nonsense = 1\n")
        self.assertEqual(proxy.ask("reload")[0], 1)
        proxy.reaches(1, "tokenring_config_reloads_total", result="failed")
        proxy.reaches(0, "tokenring_config_last_reload_successful")
        proxy.reaches(loaded, "tokenring_config_last_reload_success_timestamp_seconds")
        proxy.configure(config % 100)
        self.assertEqual(proxy.ask("reload")[0], 0)
        proxy.reaches(1, "tokenring_config_last_reload_successful")
        self.assertGreaterEqual(proxy.metric("tokenring_config_last_reload_success_timestamp_seconds"), loaded)

    def test_errors_of_nodes_are_told_by_reason(self):
        node = self.memcached()
        proxy = self.start(pool(node, request_timeout=f"{int(300 * SLOW)}ms", timeouts_to_down=1000))
        self.comes_up(proxy)
        wire = self.wire(proxy)
        wire.set(b"k", b"v")
        labels = {"pool": "main", "node": node.address}
        proxy.reaches(int(WORKERS), "tokenring_node_connects_total", **labels)  # Each worker has its own.
        node.freeze()
        wire.send(b"get k\r\n")
        self.assertEqual(wire.line(), b"END\r\n")
        eventually(lambda: proxy.metric("tokenring_node_errors_total", reason="timeout", **labels) > 0, what="timeout")
        proxy.reaches(1, "tokenring_namespace_requests_failed_total", namespace="-")
        node.thaw()
        node.kill()
        proxy.reaches(int(WORKERS), "tokenring_node_errors_total", reason="connection_lost", **labels)
        eventually(lambda: proxy.metric("tokenring_node_errors_total", reason="connect", **labels) > 0, what="tries")
        proxy.reaches(0, "tokenring_node_up", **labels)
        connects = proxy.metric("tokenring_node_connects_total", **labels)
        node.restart()
        proxy.reaches(1, "tokenring_node_up", **labels)
        eventually(lambda: proxy.metric("tokenring_node_connects_total", **labels) > connects, what="connects")

    # -- Those who wish it ill.

    def test_garbage_is_answered_or_cut(self):
        proxy = self.start()
        dice = random.Random(7)
        known = [b"GET /metrics HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"Range: bytes=0-0,1-1\r\n", b"\r\n\r\n", b"\r\n",
                 b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n", b"\x16\x03\x01\x02\x00", b"get k\r\n", b"%00",
                 b"Expect: 100-continue\r\n", b"Connection: keep-alive\r\n", b"\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
        with Load(proxy.port) as load:
            load.wait_for(50)
            for _ in range(150):
                data = b"".join(dice.choice(known) if dice.random() < 0.8 else dice.randbytes(dice.randrange(200))
                                for _ in range(dice.randrange(1, 12)))
                try:
                    answer = exchange(proxy.admin, data, shutdown=True)
                except ConnectionError:  # It closed with bytes unread, as they were too many.
                    continue
                self.assertTrue(answer.startswith(b"HTTP/1.1 ") or b"\r\n\r\n" not in data, (data, answer[:100]))
                self.assertLessEqual(answer.count(b"HTTP/1.1 "), 1)
            load.wait_for(100)
        self.assertEqual((load.wrong, load.closed), ([], 0))
        self.assertEqual(request(proxy.admin, "/healthz")[0], 200)

    def test_too_much_is_refused(self):
        proxy = self.start()
        answer = exchange(proxy.admin, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 8192)
        self.assertTrue(answer.startswith(b"HTTP/1.1 431 "), answer[:100])
        ranges = b",".join(b"%d-%d" % (n, n) for n in range(1200))
        answer = exchange(proxy.admin, b"GET /metrics HTTP/1.1\r\nRange: bytes=" + ranges + b"\r\n\r\n")
        self.assertLess(len(answer), 2 * len(proxy.scrape()))

    def test_those_who_take_no_answer_cost_nobody(self):
        proxy = self.start("".join(f'[[namespaces]]\nprefix = "namespace-{n}:"\n' for n in range(1000)))
        for _ in range(70):  # More than it bears.
            lazy = socket.socket()
            self.addCleanup(lazy.close)
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", proxy.admin))
            lazy.settimeout(10 * SLOW)
            lazy.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            self.assertEqual(lazy.recv(15), b"HTTP/1.1 200 OK")
        self.assertEqual(request(proxy.admin, "/healthz")[0], 200)
        self.assertGreater(len(proxy.scrape()), 1_000_000)

    def test_many_slow_connections_keep_nobody_out(self):
        proxy = self.start()
        with Load(proxy.port) as load:
            load.wait_for(50)
            idle = []
            self.addCleanup(lambda: [wire.close() for wire in idle])
            for number in range(300):
                idle.append(socket.create_connection(("127.0.0.1", proxy.admin), 5 * SLOW))
                idle[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: "[:number % 26])
            self.assertEqual(request(proxy.admin, "/healthz")[0], 200)
            # More than it bears are cut, those that have waited longest first.
            self.assertTrue(all(self.is_cut(wire) for wire in idle[:200]))
            self.assertLess(proxy.metric("process_open_fds"), 64 + 60)
            threads = [threading.Thread(target=lambda: [request(proxy.admin, "/metrics") for _ in range(5)])
                       for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            load.wait_for(100)
        self.assertEqual((load.wrong, load.closed), ([], 0))

    @staticmethod
    def is_cut(wire):
        try:
            return wire.recv(1) == b""
        except ConnectionError:
            return True

    @slow
    def test_a_slow_request_is_cut_in_time(self):
        proxy = self.start()
        with socket.create_connection(("127.0.0.1", proxy.admin), 12 * SLOW) as wire:
            wire.sendall(b"GET /metrics HTTP/1.1\r\n")
            self.assertTrue(self.is_cut(wire))
        self.assertEqual(request(proxy.admin, "/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main()
