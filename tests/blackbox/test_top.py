"""`tokenring top`, with a terminal and without one."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from harness import BINARY, TIMEOUT, Case, eventually, free_port, slow
from scrape import AdminProxy, top


class Screen:
    """`tokenring top` in a terminal of its own."""

    def __init__(self, *arguments, rows=24, columns=80):
        try:
            self.master, slave = pty.openpty()
        except OSError:
            raise unittest.SkipTest("no terminal can be had: is /dev/pts mounted?") from None
        self.slave = slave
        self.size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.child = subprocess.Popen([BINARY, "top", *arguments], stdin=slave, stdout=slave, stderr=slave,
                                      start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.seen = ""

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def text(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece.decode(errors="replace")
        return self.seen

    def shows(self, pattern):
        return eventually(lambda: re.search(pattern, self.text()), 4 * TIMEOUT, f"the screen shows {pattern!r}")

    def frame(self):
        """The last whole screen, as lines without what steers the terminal."""
        frames = self.text().split("\x1b[H")
        last = frames[-1] if frames[-1].endswith("\x1b[J") else frames[-2]
        return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in last.split("\r\n")]

    def end(self):
        """Its exit code."""
        end = time.monotonic() + 4 * TIMEOUT
        while self.child.poll() is None and time.monotonic() < end:
            self.text()
            time.sleep(0.01)
        return self.child.poll()

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@slow
class Top(Case):
    def start(self, *arguments, **more):
        proxy = AdminProxy(*arguments, **more)
        self.addCleanup(proxy.finish)
        eventually(lambda: proxy.ready()[0], what="admin port")
        return proxy

    def screen(self, *arguments, **more):
        screen = Screen(*arguments, **more)
        self.addCleanup(screen.close)
        return screen

    def test_once(self):
        up, gone = self.memcached(), f"127.0.0.1:{free_port()}"
        proxy = self.start(f'[pools.main]\nnodes = ["{up.address}", "{gone}"]\n[[namespaces]]\nprefix = "s:"\n')
        proxy.reaches(1, "tokenring_node_up", pool="main", node=up.address)
        for arguments in (("-c", proxy.config_file.name), ("--admin", str(proxy.admin)),
                          ("--admin", f"127.0.0.1:{proxy.admin}", "--interval", "0.1")):
            code, output, errors = top(*arguments, "--once")
            self.assertEqual((code, errors), (0, ""))
            self.assertNotIn("\x1b", output)
            self.assertRegex(output, rf"(?m)^{up.address} +up +\d+\.\d% ")
            self.assertRegex(output, rf"(?m)^{gone} +down +\d+\.\d% ")
            self.assertRegex(output, r"(?m)^s: +off +0 ")
            self.assertIn(f"node down: {gone} (worker 0)", output)
        self.assertEqual(top("--admin", str(proxy.admin))[0], 0)  # Without a terminal it is the same.

    def test_nobody_there(self):
        port = free_port()
        for arguments, complaint in ((("--admin", str(port)), f"tokenring: 127.0.0.1:{port}: nobody answers\n"),
                                     ((), "tokenring: there is no admin port; give --admin, or -c with a file that has "
                                          "admin.listen\n"),
                                     (("--admin", "x"), "tokenring: --admin: ")):
            code, output, errors = top(*arguments, "--once")
            self.assertEqual((code, output), (1, ""))
            self.assertTrue(errors.startswith(complaint), errors)
            self.assertEqual(errors.count("\n"), 1)
        node = self.memcached()  # Somebody who speaks another language.
        code, _, errors = top("--admin", str(node.port), "--once")
        self.assertEqual((code, errors.count("\n")), (1, 1))

    def test_a_token_and_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            token = f"{folder}/token"
            with open(token, "w", encoding="ascii") as file:
                file.write("correct-horse-battery\n")
            os.chmod(token, 0o600)
            proxy = self.proxy((), config=f'[admin]\nlisten = "unix:{folder}/admin"\ntoken_file = "{token}"\n')
            proxy.wait_for_control()
            place = f"unix:{folder}/admin"
            self.assertEqual(top("-c", proxy.config_file.name, "--once")[0], 0)
            self.assertEqual(top("--admin", place, "--token-file", token, "--once")[0], 0)
            code, _, errors = top("--admin", place, "--once")
            self.assertEqual((code, errors), (1, f"tokenring: {place}: it asks for a token; give --token-file\n"))
            missing = f"{folder}/none"
            self.assertEqual(top("--admin", place, "--token-file", missing, "--once")[2],
                             f"tokenring: --token-file: {missing}: cannot read: No such file or directory\n")
            os.chmod(token, 0o644)
            self.assertIn("has mode 0644", top("--admin", place, "--token-file", token, "--once")[2])

    def test_a_terminal(self):
        nodes = [self.memcached() for _ in range(3)]
        proxy = self.start("[pools.main]\nnodes = [" + ", ".join(f'"{n.address}"' for n in nodes) + "]\n")
        screen = self.screen("--admin", str(proxy.admin), "--interval", "0.2")
        screen.shows(r"NODE +STATE")
        wire = self.wire(proxy)
        eventually(lambda: wire.get(b"k") is None and re.search(r"(?m)^- +off +[1-9]", "\n".join(screen.frame())),
                   4 * TIMEOUT, "requests are shown")
        nodes[1].kill()
        screen.shows(rf"{nodes[1].address} +down")
        self.assertLessEqual(len(screen.frame()), 24)
        # It follows the terminal's size.
        screen.size(14, 50)
        eventually(lambda: len(screen.frame()) <= 14 and max(map(len, screen.frame())) <= 50, 4 * TIMEOUT, "it is smaller")
        proxy.kill()
        proxy.may_end = True
        screen.shows("nobody answers; trying again")
        proxy.start()
        screen.seen = ""
        screen.shows(r"\x1b\[H\x1b\[1mtokenring")
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), 0)
        self.assertTrue(screen.text().endswith("\x1b[?25h\x1b[?1049l"))
        self.assertEqual(termios.tcgetattr(screen.slave), screen.before)

    def test_signals_end_it_and_leave_the_terminal_as_it_was(self):
        proxy = self.start()
        for end in (lambda s: os.write(s.master, b"\x03"), lambda s: s.child.send_signal(signal.SIGTERM)):
            screen = self.screen("--admin", str(proxy.admin))
            screen.shows(r"NODE +STATE")
            end(screen)
            self.assertEqual(screen.end(), 0)
            self.assertTrue(screen.text().endswith("\x1b[?25h\x1b[?1049l"))
            self.assertEqual(termios.tcgetattr(screen.slave), screen.before)


if __name__ == "__main__":
    unittest.main()
