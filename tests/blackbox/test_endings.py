"""What is under way when a process ends."""
import os
import socket
import tempfile
import unittest

from harness import TIMEOUT, Case
from test_names import CAN_MOUNT


def asked(proxy, line):
    """A connection to its control socket on which `line` was sent."""
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(TIMEOUT)
    wire.connect(f"\0tokenring/{proxy.address}")
    wire.sendall(line)
    return wire


class Endings(Case):
    @unittest.skipUnless(CAN_MOUNT, "only who may mount can have an /etc/hosts of its own")
    def test_a_reload_that_waits_for_names_is_given_up(self):
        with tempfile.TemporaryDirectory() as folder:
            # Who looks a name up waits until somebody writes, which nobody does.
            os.mkfifo(f"{folder}/hosts")
            wrapper = ["unshare", "-m", "sh", "-c", f'mount --bind {folder}/hosts /etc/hosts && exec "$@"', "-"]
            for how in ("drain", "stop"):
                # What is freed is overwritten, so that using it shows.
                proxy = self.proxy((), config="", wrapper=wrapper, env={
                    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"})
                proxy.wait_for_control()
                proxy.configure('[pools.main]\nnodes = ["cache.test:11211"]\n')
                with asked(proxy, b"reload\n") as reload:
                    self.assertEqual(proxy.status()["reloads"], "0")  # By then it waits.
                    self.assertEqual(proxy.ask(how)[0], 0)
                    self.assertEqual(reload.recv(1000), b"error: this process is ending\n")
                self.assertEqual(proxy.wait_for_end(), 0)


if __name__ == "__main__":
    unittest.main()
