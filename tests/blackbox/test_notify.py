"""What a service manager is told (sd_notify), on a real datagram socket, and the watchdog."""
import ctypes
import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BINARY, SLOW, TIMEOUT, Case, eventually, free_port

WATCHDOG_MS = 400
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


class Manager:
    """The service manager's socket. `told` has each datagram: (when, sender's process, {name: value})."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.env = {"NOTIFY_SOCKET": name}
        self.told = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while True:
            data, control, _, _ = self.socket.recvmsg(4096, 256)
            if not data:
                return
            sender = int.from_bytes(control[0][2][:4], "little")
            lines = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.told.append((time.monotonic(), sender, lines))

    def all(self, name, since=0, of=None):
        return [lines[name] for _, sender, lines in self.told[since:] if name in lines and of in (None, sender)]

    def hears(self, name, value=None, since=0, of=None):
        """Waits for it; returns all that came with it."""
        def found():
            return next((lines for _, sender, lines in self.told[since:]
                         if name in lines and value in (None, lines[name]) and of in (None, sender)), None)
        return eventually(found, 2 * TIMEOUT, f"{name}={value} among {self.told[since:]}")

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            wire.connect(self.socket.getsockname())
            wire.send(b"")
        self.reader.join()
        self.socket.close()


class StoppedThread:
    """Stops one thread of a process, as a debugger does, and lets it go on at the end."""

    def __init__(self, tid):
        self.tid = tid
        self.libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(self, request):
        if self.libc.ptrace(request, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        try:
            self.ptrace(PTRACE_SEIZE)
        except PermissionError:
            raise unittest.SkipTest("ptrace is not allowed here") from None
        self.ptrace(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)

    def __exit__(self, *_):
        self.ptrace(PTRACE_DETACH)


class Notify(Case):
    def manager(self, name=None):
        manager = Manager(name or f"@tokenring-test-{os.getpid()}-{free_port()}")
        self.addCleanup(manager.close)
        return manager

    def start(self, manager, *options, env=(), **more):
        proxy = self.proxy((), *options, env={**manager.env, **dict(env)}, **more)
        manager.hears("READY", "1", of=proxy.pid)
        return proxy

    def test_ready_when_it_serves(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        manager = self.manager(f"{folder}/notify")
        proxy = self.start(manager, env={"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
        first = manager.hears("READY")
        # Who looked whether it listens may be there still.
        self.assertRegex(first["STATUS"], r"\AServing; connections: [01](,|\Z)")
        self.assertEqual(proxy.status()["state"], "serving")  # The control socket is there by now.
        self.assertEqual(manager.all("READY"), ["1"])
        self.assertEqual(manager.all("WATCHDOG"), [], "it is another process that is watched")

    def test_a_failed_start_is_never_ready(self):
        manager = self.manager()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            done = subprocess.run([BINARY, "--listen", f"127.0.0.1:{other.getsockname()[1]}"], capture_output=True,
                                  env={**os.environ, **manager.env}, timeout=4 * TIMEOUT, check=False)
        self.assertEqual((done.returncode, manager.told), (1, []))

    def test_nobody_there_is_no_matter(self):
        for name in ("/nowhere/notify", "@tokenring-nobody", "vsock:2:1", "", "x" * 300):
            with self.subTest(name):
                proxy = self.proxy((), env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000"})
                self.assertEqual(self.wire(proxy).command(b"get k\r\n"), b"END\r\n")

    def test_reloads(self):
        manager = self.manager()
        proxy = self.start(manager, config='[pools.main]\nnodes = "embedded"\n')
        before = time.monotonic_ns() // 1000
        since = len(manager.told)
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.assertTrue(before <= int(manager.hears("RELOADING", "1")["MONOTONIC_USEC"])
                        <= time.monotonic_ns() // 1000)
        self.assertNotIn("failed", manager.hears("READY", since=since)["STATUS"])
        since = len(manager.told)
        proxy.configure("nonsense = 1\n")
        self.assertEqual(proxy.ask("reload")[0], 1)
        self.assertIn("the last reload failed", manager.hears("READY", since=since)["STATUS"])
        order = [name for _, _, lines in manager.told for name in ("RELOADING", "READY") if name in lines]
        self.assertEqual(order, ["READY", "RELOADING", "READY", "RELOADING", "READY"])

    def test_the_status_follows(self):
        node = self.memcached()
        manager = self.manager()
        proxy = self.start(manager, config=f'[pools.main]\nnodes = "{node.address}"\n')
        wire = self.wire(proxy)
        manager.hears("STATUS", "Serving; connections: 1, nodes up: 1 of 1")
        node.kill()
        self.assertIsNone(wire.get(b"k"))
        manager.hears("STATUS", "Serving; connections: 1, nodes up: 0 of 1")

    def test_drain(self):
        manager = self.manager()
        proxy = self.start(manager, config='drain_timeout = "200s"\n')
        wire = self.wire(proxy)
        wire.send(b"set k 0 0 5\r\n")
        eventually(lambda: proxy.status().get("connections") == "1", what="it is there")
        proxy.child.terminate()
        last = manager.hears("STOPPING", "1")
        self.assertEqual(last["STATUS"], "Draining")
        self.assertGreater(int(last["EXTEND_TIMEOUT_USEC"]), 200_000_000)
        proxy.child.terminate()
        self.assertEqual(proxy.wait_for_end(), 0)
        self.assertEqual((manager.all("STOPPING"), manager.all("READY")), (["1"], ["1"]))

    def test_a_takeover_names_the_main_process(self):
        manager = self.manager()
        node = self.memcached()
        old = self.start(manager, config=f'[pools.main]\nnodes = "{node.address}"\n')
        old.may_end = True
        watched = {"WATCHDOG_USEC": str(WATCHDOG_MS * 1000), "WATCHDOG_PID": str(old.pid)}
        new = self.start(manager, "--takeover", config=f'[pools.main]\nnodes = "{node.address}"\n',
                         port=old.port, env=watched)
        self.assertEqual(old.wait_for_end(), 0)
        self.assertEqual(manager.all("MAINPID", of=old.pid), [str(new.pid)])
        self.assertEqual(manager.all("STOPPING"), [], "its unit goes on")
        names = [name for _, _, lines in manager.told for name in ("READY", "MAINPID") if name in lines]
        self.assertEqual(names, ["READY", "MAINPID", "READY"])
        manager.hears("WATCHDOG", of=new.pid)

    def watched(self, manager):
        return self.start(manager, env={"WATCHDOG_USEC": str(WATCHDOG_MS * 1000)})

    def feeds(self, manager, count, since):
        eventually(lambda: len(manager.all("WATCHDOG", since)) >= count, 2 * TIMEOUT, f"{count} feeds")

    def test_the_watchdog_is_fed_also_while_it_drains(self):
        manager = self.manager()
        proxy = self.watched(manager)
        self.feeds(manager, 6, 0)
        wire = self.wire(proxy)
        wire.send(b"set k 0 0 5\r\n")
        eventually(lambda: proxy.status().get("connections") == "1", what="it is there")
        proxy.child.terminate()
        manager.hears("STOPPING")
        self.feeds(manager, 4, len(manager.told))
        wire.send(b"hello\r\n")
        self.assertEqual(proxy.wait_for_end(), 0)

    def test_a_worker_that_stands_still_starves_the_watchdog(self):
        manager = self.manager()
        proxy = self.watched(manager)
        self.feeds(manager, 3, 0)
        worker = next(int(tid) for tid in os.listdir(f"/proc/{proxy.pid}/task") if self.name_of(tid) == "tr-worker-0")
        with StoppedThread(worker):
            since = len(manager.told)
            time.sleep(4 * WATCHDOG_MS / 1000 * SLOW)
            # The control thread lives and answers; one feed may still be for what was done before.
            self.assertEqual(proxy.status()["state"], "serving")
            self.assertLessEqual(len(manager.all("WATCHDOG", since)), 1)
        self.feeds(manager, 3, len(manager.told))

    @staticmethod
    def name_of(tid):
        with open(f"/proc/{tid}/comm", encoding="ascii") as file:
            return file.read().strip()

    def test_commands_for_keys_do_not_speak_for_it(self):
        manager = self.manager()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        script = f"env >{folder}/env; exec {BINARY} keygen"
        self.start(manager, env={"WATCHDOG_USEC": "1000000"},
                   config=f'[keys]\ncommand = ["/bin/sh", "-c", "{script}"]\n'
                          '[[namespaces]]\nprefix = "s:"\nseal = "require"\n')
        with open(f"{folder}/env", encoding="utf-8") as file:
            self.assertNotRegex(file.read(), "NOTIFY_SOCKET|WATCHDOG")

    def test_a_command_for_keys_that_may_starve_the_watchdog_is_warned_of(self):
        text = (f'[keys]\ncommand_timeout = "{{}}"\ncommand = ["{BINARY}", "keygen"]\n'
                '[[namespaces]]\nprefix = "s:"\nseal = "require"\n')
        warning = "keys.command: a reload may wait {} for it, too long for the service manager's watchdog of 20s"
        proxy = self.start(self.manager(), env={"WATCHDOG_USEC": "20000000"}, config=text.format("14s"))
        self.assertNotIn("watchdog", proxy.output())
        proxy.configure(text.format("15s"))
        self.assertIn(warning.format("15s"), proxy.ask("reload")[1])
        self.assertIn(warning.format("15s"), proxy.output())


if __name__ == "__main__":
    unittest.main()
