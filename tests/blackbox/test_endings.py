"""What is under way when a process ends, or has hardly begun: reloads, signals, files of unix sockets."""
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import BINARY, TIMEOUT, Case, Wire, eventually, free_port
from test_names import CAN_MOUNT, mounted


def asked(proxy, line):
    """A connection to its control socket on which `line` was sent."""
    wire = Wire(f"\0tokenring/{proxy.address}")
    wire.send(line)
    return wire


class Endings(Case):
    @unittest.skipUnless(CAN_MOUNT, "only who may mount can have an /etc/hosts of its own")
    def test_a_reload_that_waits_for_names_is_given_up(self):
        with tempfile.TemporaryDirectory() as folder:
            # Who looks a name up waits until somebody writes, which nobody does.
            os.mkfifo(f"{folder}/hosts")
            wrapper = mounted(f"{folder}/hosts", "/etc/hosts")
            for how in ("drain", "stop"):
                # What is freed is overwritten, so that using it shows.
                proxy = self.proxy((), config="", wrapper=wrapper, env={
                    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"})
                proxy.wait_for_control()
                proxy.configure('[pools.main]\nnodes = ["cache.test:11211"]\n')
                with asked(proxy, b"reload\n") as reload:
                    self.assertEqual(proxy.status()["reloads"], "0")  # By then it waits.
                    self.assertEqual(proxy.ask(how)[0], 0)
                    self.assertEqual(reload.until(b"\n"), b"error: this process is ending\n")
                self.assertEqual(proxy.wait_for_end(), 0)

    def test_a_start_that_fails_leaves_no_file(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            done = subprocess.run(
                [BINARY, "--listen", f"unix:{folder}/listen", f"127.0.0.1:{other.getsockname()[1]}"],
                capture_output=True, text=True, timeout=4 * TIMEOUT, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("in use", done.stderr)
            self.assertEqual(os.listdir(folder), [])

    def test_a_start_that_fails_leaves_the_file_of_another_process(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as other:
            other.bind(f"{folder}/listen")
            other.listen()
            done = subprocess.run([BINARY, "--listen", f"unix:{folder}/listen"], capture_output=True, text=True,
                                  timeout=4 * TIMEOUT, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(os.listdir(folder), ["listen"])

    def test_signals_that_come_early_are_ignored(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(f"{folder}/config")
            child = subprocess.Popen([BINARY, "-c", f"{folder}/config", "--listen", f"127.0.0.1:{free_port()}"],
                                     stderr=subprocess.PIPE, text=True)
            try:
                with open(f"{folder}/config", "w", encoding="ascii") as config:  # The process reads it.
                    for early in (signal.SIGHUP, signal.SIGUSR1):
                        child.send_signal(early)
                    config.write('log_level = "info"\n')
                self.assertIn("listening on", child.stderr.readline())
            finally:
                child.terminate()
                child.communicate()
        self.assertEqual(child.returncode, 0)

    def test_signals_that_come_late_are_ignored(self):
        for late in (signal.SIGHUP, signal.SIGUSR1):
            proxy = self.proxy()
            proxy.may_end = True
            proxy.wait_for_control()
            proxy.child.terminate()

            def has_ended():
                for _ in range(100):
                    proxy.child.send_signal(late)
                return not proxy.alive()
            eventually(has_ended, what="the end")
            self.assertEqual(proxy.child.returncode, 0, late)


if __name__ == "__main__":
    unittest.main()
