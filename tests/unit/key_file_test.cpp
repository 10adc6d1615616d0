// Where keys come from, and what is refused.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/key_file.hpp"
#include "seal_kit.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;

namespace {

// A folder for one test.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/tokenring-keys-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string operator/(std::string_view name) const {
    return fmt::format("{}/{}", path_, name);
  }
  [[nodiscard]] std::string write(std::string_view name, std::string_view text,
                                  mode_t mode = 0600) const {
    const std::string path = *this / name;
    std::ofstream(path) << text;
    REQUIRE(chmod(path.c_str(), mode) == 0);
    return path;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string outcome(const KeyringResult& result) {
  return result ? fmt::format("key {:08x}", (*result)->key_id(0)) : result.error();
}

std::string of_command(std::vector<std::string> argv, std::int64_t timeout_ms = 10'000) {
  return outcome(read_key_command({.argv = std::move(argv), .timeout_ms = timeout_ms}));
}

}  // namespace

TEST_CASE("a key file is a regular file that is closed to others") {
  const Folder folder;
  CHECK(outcome(read_key_file(folder.write("keys", kKeyFile))) == "key 75d3c699");
  CHECK(outcome(read_key_file(folder.write("keys", kKeyFile, 0400))) == "key 75d3c699");
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U}) {
    const std::string path = folder.write("open", kKeyFile, mode);
    CHECK(
        outcome(read_key_file(path)) ==
        fmt::format("{}: has mode {:04o}, which lets others in; chmod 600 closes it", path, mode));
  }
  const std::string link = folder / "link";
  REQUIRE(symlink((folder / "keys").c_str(), link.c_str()) == 0);
  CHECK(outcome(read_key_file(link)) == link + ": is a symbolic link; name the file itself");
  const std::string fifo = folder / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(outcome(read_key_file(fifo)) == fifo + ": is no regular file; give one");
  CHECK(outcome(read_key_file(folder.path())) == folder.path() + ": is no regular file; give one");
  CHECK(outcome(read_key_file(folder / "none")) ==
        folder / "none" + ": cannot read: No such file or directory");
  const std::string big = folder.write("big", std::string(1 << 20, '#'));
  CHECK(outcome(read_key_file(big)) == big + ": is longer than 16384 bytes; no key file is");
  const std::string bad = folder.write("bad", "tokenring-keys 1\nx\n");
  CHECK(outcome(read_key_file(bad)) ==
        bad + ":2: unknown word; give primary, master, blind or audit");
}

TEST_CASE("a key file of somebody else is refused") {
  if (geteuid() != 0) return;  // Only root can give a file away.
  const Folder folder;
  const std::string path = folder.write("keys", kKeyFile);
  REQUIRE(chown(path.c_str(), 65534, 0) == 0);
  CHECK(outcome(read_key_file(path)) ==
        path + ": belongs to user 65534; it must belong to this process's user or root");
}

TEST_CASE("a credential may be lent to the group for reading") {
  const Folder folder;
  unsetenv("CREDENTIALS_DIRECTORY");
  CHECK(outcome(read_key_credential("keys")) ==
        "credential keys: CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential=");
  setenv("CREDENTIALS_DIRECTORY", folder.path().c_str(), 1);
  static_cast<void>(folder.write("keys", kKeyFile, 0440));
  CHECK(outcome(read_key_credential("keys")) == "key 75d3c699");
  const std::string open = folder.write("open", kKeyFile, 0444);
  CHECK(outcome(read_key_credential("open")) ==
        open + ": has mode 0444, which lets others in; chmod 600 closes it");
  for (const char* name : {"", "..", "a/b", "/etc/passwd"})
    CHECK(outcome(read_key_credential(name)) == "a credential is a name without a path");
  unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_CASE("a command's output is a key file if it ends well") {
  const Folder folder;
  const std::string keys = folder.write("keys", kKeyFile);
  CHECK(of_command({"/bin/cat", keys}) == "key 75d3c699");
  CHECK(of_command({"/bin/sh", "-c", "cat " + keys + "; exit 3"}) ==
        "key command /bin/sh: ended with exit code 3");
  CHECK(of_command({"/bin/sh", "-c", "cat " + keys + "; kill -9 $$"}) ==
        "key command /bin/sh: was ended by signal 9");
  CHECK(of_command({"/bin/cat", "/dev/zero"}) ==
        "key command /bin/cat: writes more than a key file may have");
  CHECK(of_command({"/bin/cat"}) ==
        "key command /bin/cat: is empty; its first line is \"tokenring-keys 1\"");
  CHECK(of_command({"/nowhere/kms"}) ==
        "key command /nowhere/kms: cannot start: No such file or directory");
  CHECK(of_command({"cat", keys}) == "key command: must begin with the absolute path of a program");
  CHECK(of_command({}) == "key command: must begin with the absolute path of a program");
}

TEST_CASE("a command that does not end is killed, with what it started") {
  const Folder folder;
  const std::string script = "sleep 1000 & echo $! >" + (folder / "pid") + "; wait";
  CHECK(of_command({"/bin/sh", "-c", script}, 300) == "key command /bin/sh: is not done in time");
  CHECK(of_command({"/bin/sh", "-c", "exec >&-; sleep 1000"}, 300) ==
        "key command /bin/sh: is not done in time");
  pid_t sleeper = 0;
  std::ifstream(folder / "pid") >> sleeper;
  REQUIRE(sleeper > 0);
  // Its parent is gone, so somebody else reaps it: a zombie counts as dead.
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    std::string state;
    std::ifstream stat(fmt::format("/proc/{}/stat", sleeper));
    stat >> state >> state >> state;
    gone = !stat || state == "Z";
    usleep(10'000);
  }
  CHECK(gone);
}
