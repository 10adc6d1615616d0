"""A new process in place of the old one, while clients go on; sockets from systemd."""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import BINARY, SLOW, TIMEOUT, Case, Wire, eventually, free_port
from load import Load

# As a service manager does (sd_listen_fds(3)): another process than the one that is started listens.
GIVES_A_SOCKET = """
import os, socket, sys
given = socket.socket(socket.AF_UNIX)
given.bind(sys.argv[1])
if os.fork() == 0:
    given.listen()
    os._exit(0)
os.wait()
os.dup2(given.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Takeover(Case):
    def start(self, node, *options, **more):
        more.setdefault("config", f'drain_timeout = "20s"\n[pools.main]\nnodes = "{node.address}"\n')
        proxy = self.proxy((), *options, **more)
        proxy.wait_for_control()
        return proxy

    def successor(self, old, node, *options, **more):
        """Serves on the old one's port; the old one is on its way out."""
        old.may_end = True
        new = self.start(node, "--takeover", *options, port=old.port, **more)
        new.says("takeover: done")
        old.says("taken over; draining")
        eventually(lambda: new.status().get("pid") == str(new.pid), what="the new one answers for itself")
        return new

    def hand_over(self, workers, requests=200):
        """Fresh connections all the while, and some that stay: nobody is refused, cut off or told wrong."""
        node = self.memcached()
        old = self.start(node, "--workers", workers[0])
        with Load(old.port, keepers=3, comers=3) as load:
            load.wait_for(requests)
            for count in workers[1:]:
                before = load.connections
                new = self.successor(old, node, "--workers", count)
                eventually(lambda: load.connections >= before + 200 or load.wrong, 6 * TIMEOUT, "200 connections")
                load.wait_for(requests)
                old = new
        self.assertEqual(load.wrong, [])
        return load

    def test_nobody_notices(self):
        self.hand_over("11")

    def test_nor_with_more_and_with_fewer_workers(self):
        self.hand_over("2413")

    def test_those_who_stay_are_served_to_the_end(self):
        node = self.memcached()
        old = self.start(node)
        with Load(old.port, keepers=2, comers=0) as load:
            load.wait_for(100)
            self.successor(old, node)
            load.wait_for(500)
            self.assertTrue(old.alive())
        self.assertEqual((load.wrong, load.closed, load.connections), ([], 0, 2))
        self.assertEqual(old.wait_for_end(), 0)

    def test_connections_in_the_queue_are_not_lost(self):
        node = self.memcached()
        old = self.start(node)
        old.freeze()
        waiting = [self.wire(old) for _ in range(50)]
        for wire in waiting:
            wire.send(b"mn\r\n")
        old.thaw()
        self.successor(old, node)
        for wire in waiting:
            self.assertEqual(wire.line(), b"MN\r\n")

    def test_a_successor_that_fails_changes_nothing(self):
        node = self.memcached()
        old = self.start(node)
        wire = self.wire(old)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            done = subprocess.run(
                [BINARY, "--takeover", "--listen", old.address, f"127.0.0.1:{other.getsockname()[1]}",
                 "--nodes", node.address], capture_output=True, text=True, timeout=4 * TIMEOUT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)
        self.assertEqual(wire.command(b"get k\r\n"), b"END\r\n")
        self.assertEqual(self.wire(old).command(b"get k\r\n"), b"END\r\n")
        self.assertEqual(old.status()["state"], "serving")
        self.successor(old, node)

    def test_one_on_its_way_out_is_not_taken_over(self):
        node = self.memcached()
        old = self.start(node)
        wire = self.wire(old)
        wire.send(b"set k 0 0 2\r\n")
        eventually(lambda: old.status().get("connections") == "1", what="it is there")
        self.assertEqual(old.ask("drain")[0], 0)
        done = subprocess.run([BINARY, "--takeover", "--listen", old.address, "--nodes", node.address],
                              capture_output=True, text=True, timeout=4 * TIMEOUT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("takeover: error: this process is on its way out", done.stderr)
        old.ask("stop")
        self.assertEqual(old.wait_for_end(), 0)

    def test_nobody_to_take_over_from(self):
        proxy = self.proxy((), "--takeover")
        proxy.says("nobody to take over from")
        self.assertEqual(self.wire(proxy).command(b"get k\r\n"), b"END\r\n")

    def test_a_unix_socket_and_ipv6_are_handed_over_too(self):
        node = self.memcached()
        path = f"/tmp/tokenring-{os.getpid()}-{free_port()}.sock"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        places = [f"[::1]:{free_port()}", f"unix:{path}"]

        def talks(answer):
            for place in (("::1", int(places[0].rsplit(":", 1)[1])), path):
                with Wire(place) as wire:
                    self.assertEqual(wire.command(b"get k\r\n"), answer)

        first = self.proxy([node], "--listen", *places)
        first.wait_for_control()
        self.wire(node).set(b"k", b"v")
        talks(b"VALUE k 0 1\r\nv\r\nEND\r\n")
        first.may_end = True
        second = self.proxy([node], "--takeover", "--listen", *places, port=first.port)
        second.says("takeover: done")
        self.assertEqual(first.wait_for_end(), 0)
        talks(b"VALUE k 0 1\r\nv\r\nEND\r\n")

    def test_the_mode_of_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            port, places = free_port(), {"listen": f"{folder}/listen", "admin": f"{folder}/admin"}

            def start(listen, admin, *options):
                lines = [f'listen = ["127.0.0.1:{port}", {{ address = "unix:{places["listen"]}"{listen} }}]',
                         "[admin]", f'listen = "unix:{places["admin"]}"', admin, ""]
                return self.proxy((), "--listen", f"unix:{places['listen']}", *options, port=port,
                                  config="\n".join(lines))

            def modes():
                return [f"{os.stat(place).st_mode & 0o777:04o}" for place in places.values()]

            umask = os.umask(0o027)
            try:
                first = start(', mode = "0666"', 'mode = "0620"')
                first.wait_for_control()
                self.assertEqual(modes(), ["0666", "0620"])
                first.may_end = True
                second = start(', mode = "0600"', "", "--takeover")
                second.says("takeover: done")
                self.assertEqual(first.wait_for_end(), 0)
                eventually(lambda: os.path.exists(places["admin"]), what="the admin port is taken over")
                self.assertEqual(modes(), ["0600", "0750"])
            finally:
                os.umask(umask)

    def begin_to_take_over(self, folder):
        """(a process that drains, for a client stays; what has its sockets and has not said go)"""
        old = self.proxy((), "--listen", f"127.0.0.1:{free_port()}", f"unix:{folder}/listen",
                         config=f'control = "unix:{folder}/control"\ndrain_timeout = "20s"\n')
        old.wait_for_control()
        wire = self.wire(old)
        wire.send(b"set k 0 0 2\r\n")
        eventually(lambda: old.status().get("connections") == "1", what="it is there")
        successor = socket.socket(socket.AF_UNIX)
        self.addCleanup(successor.close)
        successor.settimeout(TIMEOUT)
        successor.connect(f"{folder}/control")
        successor.sendall(b"takeover\n")
        byte = b"+"
        while byte == b"+":
            byte, sockets, _, _ = socket.recv_fds(successor, 1, 200)
            for number in sockets:
                self.addCleanup(os.close, number)
        self.assertEqual(byte, b".")
        old.may_end = True
        old.child.terminate()
        old.says("draining")
        return old, successor

    def test_one_that_is_told_to_end_meanwhile_leaves_the_files(self):
        with tempfile.TemporaryDirectory() as folder:
            old, successor = self.begin_to_take_over(folder)
            self.assertEqual(sorted(os.listdir(folder)), ["control", "listen"])
            successor.sendall(b"go\n")
            self.assertEqual(successor.recv(100), b"ok\n")
            old.says("taken over while draining")
            old.child.terminate()
            self.assertEqual(old.wait_for_end(), 0)
            Wire(f"{folder}/listen").close()  # Its socket is the successor's.

    def test_and_removes_them_where_nobody_takes_over(self):
        with tempfile.TemporaryDirectory() as folder:
            old, successor = self.begin_to_take_over(folder)
            successor.close()
            eventually(lambda: os.listdir(folder) == ["control"], what="the file is gone")
            self.assertTrue(old.alive())
            old.ask("stop")

    def last_of_three(self, folder, **more):
        """Each takes over from the one before; the last one ends."""
        node, path = self.memcached(), f"{folder}/listen"
        proxy = self.proxy([node], "--listen", f"unix:{path}", **more)
        for _ in range(2):
            proxy.wait_for_control()
            old, proxy = proxy, self.proxy([node], "--takeover", "--listen", f"unix:{path}", port=proxy.port)
            proxy.says("takeover: done")
            self.assertEqual(old.wait_for_end(), 0)
            Wire(path).close()
        proxy.wait_for_control()
        self.assertEqual(proxy.ask("drain")[0], 0)
        self.assertEqual(proxy.wait_for_end(), 0)

    def test_the_last_one_removes_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            self.last_of_three(folder)
            self.assertEqual(os.listdir(folder), [])

    def test_but_not_that_of_a_socket_that_was_given(self):
        with tempfile.TemporaryDirectory() as folder:
            self.last_of_three(folder, wrapper=[sys.executable, "-c", GIVES_A_SOCKET, f"{folder}/listen"])
            self.assertEqual(os.listdir(folder), ["listen"])


class SocketActivation(Case):
    def test_sockets_from_systemd_are_used(self):
        node = self.memcached()
        with socket.socket() as listener, socket.socket() as other:
            for one in (listener, other):
                one.bind(("127.0.0.1", 0))
                one.listen()
            port = listener.getsockname()[1]
            with Wire(port) as early:
                early.send(b"mn\r\n")
                # sd_listen_fds(3): descriptors from 3 on, for the process of that id.
                script = (f"exec 3<&{listener.fileno()} 4<&{other.fileno()}; "
                          f'LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"')
                child = subprocess.Popen(
                    ["bash", "-c", script, "-", BINARY, "--listen", f"127.0.0.1:{port}", "--nodes", node.address,
                     "--workers", "2"], pass_fds=(listener.fileno(), other.fileno()), stderr=subprocess.PIPE)
                try:
                    self.assertEqual(early.line(), b"MN\r\n")
                    for _ in range(10):
                        with Wire(port) as wire:
                            self.assertEqual(wire.command(b"get k\r\n"), b"END\r\n")
                finally:
                    child.send_signal(signal.SIGTERM)
                    errors = child.communicate(timeout=20 * SLOW)[1].decode()
                self.assertEqual(child.returncode, 0)
                self.assertIn("1 of the sockets given to this process are not at an address of listen", errors)
            # The socket is still systemd's.
            with socket.create_connection(("127.0.0.1", port), TIMEOUT):
                pass


if __name__ == "__main__":
    unittest.main()
