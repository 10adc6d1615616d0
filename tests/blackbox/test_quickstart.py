"""conf/quickstart, as far as it goes without installing anything."""
import os
import subprocess
import unittest

from harness import ROOT, Case


class Quickstart(Case):
    def run_it(self, *arguments, path="conf/quickstart"):
        return subprocess.run([f"{ROOT}/{path}", *arguments], capture_output=True, text=True, timeout=60,
                              cwd="/", stdin=subprocess.DEVNULL, check=False)

    def test_help(self):
        for flag in ("--help", "-h"):
            done = self.run_it(flag)
            self.assertEqual(done.returncode, 0)
            for word in ("--build-only", "--nodes", "--listen"):
                self.assertIn(word, done.stdout)

    def test_scripts_are_valid_bash(self):
        for path in ("conf/quickstart", "conf/deps.sh"):
            self.assertEqual(subprocess.run(["bash", "-n", f"{ROOT}/{path}"], check=False).returncode, 0)
            self.assertTrue(os.access(f"{ROOT}/{path}", os.X_OK))

    def test_dependency_groups(self):
        self.assertEqual(self.run_it("--list", "build", "test", "bench", path="conf/deps.sh").returncode, 0)
        for arguments in ((), ("nonsense",)):
            done = self.run_it(*arguments, path="conf/deps.sh")
            self.assertEqual(done.returncode, 2)
            self.assertIn("GROUP", done.stderr)


if __name__ == "__main__":
    unittest.main()
