"""A changed file while clients go on; drain, stop and status; who may ask."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import BINARY, TIMEOUT, Case, eventually, free_port
from load import Load


def pool(nodes, **more):
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in more.items()]
    return "\n".join(["[pools.main]", f"nodes = {[n.address for n in nodes]}".replace("'", '"'), *lines, ""])


class Reload(Case):
    def start(self, config, *options, **more):
        proxy = self.proxy((), *options, config=config, **more)
        proxy.wait_for_control()
        return proxy

    def reload(self, proxy, config):
        """A good file is taken; the answer."""
        proxy.configure(config)
        code, output, errors = proxy.ask("reload")
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(output.startswith("ok: "), output)
        return output

    def test_clients_do_not_notice_a_reload(self):
        nodes = [self.memcached() for _ in range(2)]
        proxy = self.start(pool(nodes))
        with Load(proxy.port) as load:
            load.wait_for(200)
            for n in range(6):
                self.reload(proxy, f'coalesce_max = "{n % 2 * 100}us"\n' + pool(nodes, request_timeout=f"{1 + n}s",
                                                                              links_per_node=1 + n % 3))
                load.wait_for(100)
        self.assertEqual(load.wrong, [])
        self.assertEqual(load.closed, 0)
        self.assertGreater(load.connections, 4)
        status = proxy.status()
        self.assertEqual((status["reloads"], status["reloads_failed"]), ("6", "0"))

    def test_a_namespace_and_its_rules_come_and_go(self):
        node = self.memcached()
        proxy = self.start(pool([node]))
        wire = self.wire(proxy)
        wire.set(b"s:1", b"v")
        self.assertEqual(wire.command(b"mg s:1 t\r\n"), b"HD t-1\r\n")
        self.reload(proxy, pool([node]) + '[[namespaces]]\nprefix = "s:"\nttl_cap = 100\n')
        wire.set(b"s:1", b"v")
        self.assertRegex(wire.command(b"mg s:1 t\r\n"), rb"HD t(100|99)\r\n")
        self.reload(proxy, pool([node]))
        wire.set(b"s:1", b"v")
        self.assertEqual(wire.command(b"mg s:1 t\r\n"), b"HD t-1\r\n")

    def test_nodes_come_and_go(self):
        one, two = self.memcached(), self.memcached()
        proxy = self.start(pool([one]))
        wire = self.wire(proxy)
        wire.set(b"k", b"one")
        self.reload(proxy, pool([two]))
        eventually(lambda: wire.get(b"k") is None, what="the new node is asked")
        wire.set(b"k", b"two")
        self.assertEqual(self.wire(two).get(b"k"), b"two")
        self.assertEqual(self.wire(one).get(b"k"), b"one")
        self.reload(proxy, pool([one]))
        eventually(lambda: wire.get(b"k") == b"one", what="the old node is asked again")

    def test_sighup_reloads(self):
        node = self.memcached()
        proxy = self.start(pool([node]))
        proxy.configure(pool([node]) + '[[namespaces]]\nprefix = "s:"\nttl_cap = 100\n')
        proxy.child.send_signal(signal.SIGHUP)
        eventually(lambda: proxy.status().get("reloads") == "1", what="reloaded")
        self.assertIn("info reload: listen", proxy.output())

    def test_a_bad_file_changes_nothing(self):
        node = self.memcached()
        good = pool([node]) + '[[namespaces]]\nprefix = "s:"\nttl_cap = 100\n'
        proxy = self.start(good)
        wire = self.wire(proxy)
        for number, bad in enumerate(("nonsense = 1\n", "[pools.main\n", pool([node]) + "[[namespaces]]\n",
                                      pool([node, node])), 1):
            proxy.configure(bad)
            code, output, errors = proxy.ask("reload")
            self.assertEqual((code, output), (1, ""), bad)
            self.assertRegex(errors, r"error: .*\.toml:\d+:\d+: ")
            self.assertEqual(errors.count("\n"), 1)
            self.assertEqual(proxy.status()["reloads_failed"], str(number))
            wire.set(b"s:1", b"v")
            self.assertRegex(wire.command(b"mg s:1 t\r\n"), rb"HD t(100|99)\r\n")
        self.assertIn("error reload: nothing changed: ", proxy.output())
        os.unlink(proxy.config_file.name)
        self.assertIn("cannot read", proxy.ask("reload")[2])
        proxy.configure(good)
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.assertEqual(proxy.status()["reloads"], "1")

    def test_what_cannot_change_is_told_and_stays(self):
        proxy = self.start("workers = 1\n", "--workers", "2")
        wire = self.wire(proxy)
        wire.set(b"k", b"v")
        answer = self.reload(proxy, 'coalesce_max = "0us"\n[embedded]\nmemory = "32MiB"\n[limits]\nvalue_bytes_max = "2MiB"\n')
        self.assertRegex(answer, r"\Aok: /\S+\.toml: listen .*\nembedded.memory, limits.value_bytes_max cannot change "
                                 r"while the process runs; kept\n\Z")
        proxy.says("warn reload: embedded.memory, limits.value_bytes_max cannot change while the process runs; kept")
        self.assertEqual(wire.get(b"k"), b"v")
        self.assertEqual(proxy.status()["workers"], "2")

    def test_counts_go_on(self):
        node = self.memcached()
        space = '[[namespaces]]\nprefix = "s:"\nttl_cap = %d\n'
        proxy = self.start(pool([node]) + space % 100)
        wire = self.wire(proxy)

        def count(group, name):
            wire.send(b"stats %s\r\n" % group)
            return int(re.search(rb"STAT \S*%s (\d+)\r\n" % name, wire.until(b"END\r\n"))[1])

        for _ in range(5):
            wire.set(b"s:1", b"v")
        requests = eventually(lambda: count(b"nodes", b":requests"), what="the requests are published")
        self.reload(proxy, '[[namespaces]]\nprefix = "r:"\npool = "main"\n' + pool([node]) + space % 50)
        eventually(lambda: wire.command(b"mg s:1 t\r\n") and wire.set(b"s:1", b"v") is None
                   and wire.command(b"mg s:1 t\r\n") in (b"HD t50\r\n", b"HD t49\r\n"), what="the new rules hold")
        self.assertGreaterEqual(count(b"namespaces", b"s::cmd_set"), 6)
        self.assertGreaterEqual(count(b"nodes", b":requests"), requests)

    def test_a_reload_is_in_force_when_it_is_answered(self):
        node = self.memcached()
        proxy = self.start(pool([node]), "--workers", "3")
        wires = [self.wire(proxy) for _ in range(12)]
        for n in range(12):
            self.reload(proxy, pool([node]) + f'[[namespaces]]\nprefix = "s:"\nttl_cap = {1000 * (n + 1)}\n')
            for wire in wires:
                wire.send(b"set s:1 0 0 1\r\nv\r\n")
            self.assertEqual([wire.line() for wire in wires], [b"STORED\r\n"] * len(wires))
            life = int(wires[0].command(b"mg s:1 t\r\n").split()[1][1:])
            self.assertTrue(1000 * n + 500 < life <= 1000 * (n + 1), f"{life} s after reload {n}")

    def test_another_file_is_not_the_process_s(self):
        proxy = self.start("")
        own, address = proxy.config_file.name, proxy.address
        with tempfile.TemporaryDirectory() as folder:
            other, link = f"{folder}/other.toml", f"{folder}/link.toml"
            with open(other, "w", encoding="ascii") as file:
                file.write("")
            os.symlink(own, link)
            for name, expected in ((other, 1), (link, 0), (os.path.relpath(own), 0)):
                done = subprocess.run([BINARY, "reload", "-c", name, "--listen", address], capture_output=True,
                                      text=True, timeout=8 * TIMEOUT, check=False)
                self.assertEqual(done.returncode, expected, done.stderr)
                if expected:
                    self.assertEqual(done.stderr, f"tokenring: the process at {address} reads {own}, not {name}; "
                                                  "nothing was reloaded\n")
                else:
                    self.assertTrue(done.stdout.startswith(f"ok: {own}: listen "), done.stdout)
        status = proxy.status()
        self.assertEqual((status["config"], status["reloads"]), (own, "2"))

    def test_a_relative_name_becomes_a_whole_one(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/t.toml", "w", encoding="ascii") as file:
                file.write("")
            proxy = self.proxy((), "-c", "./t.toml", wrapper=("/usr/bin/env", "-C", folder))
            self.assertEqual(proxy.wait_for_control()["config"], f"{folder}/t.toml")

    def test_an_embedded_store_survives(self):
        config = '[pools.a]\nnodes = [{address = "embedded", name = "x"}]\n'
        proxy = self.start(config)
        wire = self.wire(proxy)
        wire.set(b"k", b"v")
        self.reload(proxy, config + '[pools.b]\nnodes = "embedded"\n[[namespaces]]\nprefix = "b:"\npool = "b"\n'
                    '[[namespaces]]\nprefix = ""\npool = "a"\n')
        wire.set(b"b:1", b"w")
        self.assertEqual((wire.get(b"k"), wire.get(b"b:1")), (b"v", b"w"))
        self.reload(proxy, config)
        self.assertEqual((wire.get(b"k"), wire.get(b"b:1")), (b"v", None))

    def test_without_a_file_there_is_nothing_to_reload(self):
        proxy = self.proxy()
        proxy.wait_for_control()
        code, _, errors = proxy.ask("reload")
        self.assertEqual((code, errors), (1, "error: there is no file to read again\n"))

    def test_a_drain_lets_clients_finish(self):
        node = self.memcached()
        proxy = self.start('drain_timeout = "60s"\n' + pool([node]))
        busy, idle = self.wire(proxy), self.wire(proxy)
        self.assertEqual(idle.command(b""), b"")
        busy.send(b"set k 0 0 5\r\nhe")
        eventually(lambda: proxy.status().get("connections") == "2", what="both are there")
        self.assertEqual(proxy.ask("drain")[:2], (0, "ok: draining\n"))
        self.assertTrue(idle.at_end())
        eventually(lambda: not self.accepts(proxy), what="nobody is let in")
        self.assertTrue(proxy.alive())
        busy.send(b"llo\r\n")
        self.assertEqual(busy.line(), b"STORED\r\n")
        self.assertTrue(busy.at_end())
        self.assertEqual(proxy.wait_for_end(), 0)
        self.assertEqual(self.wire(node).get(b"k"), b"hello")

    @staticmethod
    def accepts(proxy):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", proxy.port)) == 0

    def ends(self, proxy, *, after=()):
        self.assertEqual(proxy.wait_for_end(), 0)
        for text in after:
            self.assertIn(text, proxy.output())

    def half_a_request(self, proxy):
        wire = self.wire(proxy)
        wire.send(b"set k 0 0 5\r\nhe")
        eventually(lambda: proxy.status().get("connections") == "1", what="it is there")
        return wire

    def test_a_drain_ends_in_time(self):
        proxy = self.start('drain_timeout = "300ms"\n')
        wire = self.half_a_request(proxy)
        proxy.child.terminate()
        self.ends(proxy, after=["draining for up to 300ms", "drain_timeout is over; 1 connection is cut", "stopped"])
        self.assertTrue(wire.at_end())

    def test_an_answer_that_is_under_way_at_the_end_is_finished(self):
        proxy = self.start('drain_timeout = "0s"\n[limits]\nvalue_bytes_max = "32MiB"\n[embedded]\nmemory = "128MiB"\n')
        value = os.urandom(1 << 20) * 8  # More than the kernel takes of it, but soon sent.
        self.wire(proxy).set(b"k", value)
        wire = self.wire(proxy)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        wire.send(b"get k\r\nget ")
        self.assertEqual(wire.take(8), b"VALUE k ")
        proxy.child.terminate()
        proxy.says("drain_timeout is over")
        rest = b"0 %d\r\n%s\r\nEND\r\n" % (len(value), value)
        self.assertTrue(wire.take(len(rest)) == rest)  # It has a second from now on.
        self.assertTrue(wire.at_end())
        self.ends(proxy)

    def test_who_takes_no_answer_is_cut_at_the_end(self):
        proxy = self.start('drain_timeout = "0s"\n[limits]\nvalue_bytes_max = "32MiB"\n[embedded]\nmemory = "128MiB"\n')
        self.wire(proxy).set(b"k", b"v" * (24 << 20))
        wire = self.wire(proxy)
        wire.send(b"get k\r\n")
        self.assertEqual(wire.take(8), b"VALUE k ")
        proxy.child.terminate()
        self.ends(proxy, after=["drain_timeout is over"])

    def test_a_second_signal_ends_at_once(self):
        proxy = self.start('drain_timeout = "1h"\n')
        self.half_a_request(proxy)
        proxy.child.terminate()
        proxy.says("draining")
        self.assertTrue(proxy.alive())
        proxy.child.send_signal(signal.SIGINT)
        self.ends(proxy)

    def test_stop_ends_at_once(self):
        proxy = self.start('drain_timeout = "1h"\n')
        self.half_a_request(proxy)
        self.assertEqual(proxy.ask("stop")[:2], (0, "ok: stopping\n"))
        self.ends(proxy)

    def test_a_control_socket_with_a_path_and_none(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/control"
            proxy = self.start(f'control = "unix:{path}"\n')
            self.assertTrue(os.path.exists(path))
            self.assertEqual(proxy.status()["state"], "serving")
        silent = self.proxy((), config='control = ""\n')
        silent.says("listening on")
        code, _, errors = silent.ask("status")
        self.assertEqual(code, 1)
        self.assertIn("no control socket", errors)

    def test_socket_files_go_with_the_process(self):
        with tempfile.TemporaryDirectory() as folder:
            path, control = f"{folder}/listen", f"{folder}/control"
            for how in ("drain", "stop"):
                proxy = self.proxy((), "--listen", f"127.0.0.1:{free_port()}", f"unix:{path}",
                                   config=f'control = "unix:{control}"\n')
                proxy.wait_for_control()
                self.assertEqual(sorted(os.listdir(folder)), ["control", "listen"])
                self.assertEqual(proxy.ask(how)[0], 0)
                self.ends(proxy)
                self.assertEqual(os.listdir(folder), [], how)

    def test_what_is_no_socket_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            path, link, target = f"{folder}/precious", f"{folder}/link", f"{folder}/leftover"
            with open(path, "w", encoding="ascii") as file:
                file.write("precious")
            with socket.socket(socket.AF_UNIX) as leftover:
                leftover.bind(target)
            os.symlink(target, link)
            for place in (path, link):
                done = subprocess.run([BINARY, "--listen", f"unix:{place}"], capture_output=True, text=True,
                                      timeout=4 * TIMEOUT, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"listen: unix:{place}: exists and is no socket\n", done.stderr)
            proxy = self.proxy((), config=f'control = "unix:{path}"\n')
            proxy.says(f"warn control: no control socket at unix:{path}: exists and is no socket; trying again")
            with open(path, encoding="ascii") as file:
                self.assertEqual(file.read(), "precious")
            self.assertTrue(os.path.islink(link))
            self.proxy((), "--listen", f"127.0.0.1:{free_port()}", f"unix:{target}")  # A leftover is not in the way.

    def test_the_control_socket_bears_with_anyone(self):
        proxy = self.start("")
        name = f"\0tokenring/{proxy.address}"
        for request, answer in ((b"bogus\n", b"error: unknown command\n"), (b"x" * 10000 + b"\n", b""), (b"", b""),
                                (b"\n", b"error: unknown command\n"), (b"go\n", b"error: unknown command\n")):
            with socket.socket(socket.AF_UNIX) as asker:
                asker.settimeout(TIMEOUT)
                asker.connect(name)
                asker.sendall(request)
                asker.shutdown(socket.SHUT_WR)
                try:
                    self.assertEqual(asker.recv(100), answer)
                except ConnectionResetError:
                    self.assertEqual(answer, b"")
        self.assertEqual(proxy.status()["state"], "serving")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_another_user_may_not_ask(self):
        proxy = self.start("")
        code = ("import os, socket; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
                f"s.connect('\\0tokenring/{proxy.address}'); print(s.recv(100).decode(), end='')")
        done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True,
                              timeout=4 * TIMEOUT, check=True)
        self.assertEqual(done.stdout, "error: not allowed\n")
        code = ("import os; os.setgid(65534); os.setuid(65534); "
                f"os.execv({BINARY!r}, [{BINARY!r}, 'status', '--listen', '{proxy.address}'])")
        done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True,
                              timeout=4 * TIMEOUT, check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"tokenring: {proxy.address}: only root and the process's user may ask\n"))

    def test_nobody_there(self):
        done = subprocess.run([BINARY, "status", "--listen", f"127.0.0.1:{free_port()}"], capture_output=True,
                              text=True, timeout=4 * TIMEOUT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Atokenring: nobody serves at 127\.0\.0\.1:\d+; give the -c, or the first "
                                      r"--listen, that it was started with\n\Z")


if __name__ == "__main__":
    unittest.main()
