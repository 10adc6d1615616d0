#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "app/key_file.hpp"
#include "app/key_text.hpp"

extern char** environ;

namespace tokenring {

namespace {

using Clock = std::chrono::steady_clock;

struct SpawnSettings {
  SpawnSettings(int output) noexcept {
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    // A group of its own, to end what it starts with it, and none of our signal settings.
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &signals);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

// A child that does not outlive this.
class Child {
 public:
  explicit Child(pid_t id) noexcept : id_(id) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (id_ <= 0) return;
    kill(-id_, SIGKILL);
    while (waitpid(id_, nullptr, 0) < 0 && errno == EINTR) continue;
  }

  // The status that it ended with; -1 if it did not until then.
  int wait_until(Clock::time_point end) noexcept {
    for (;;) {
      int status = 0;
      const pid_t done = waitpid(id_, &status, WNOHANG);
      if (done == id_) {
        id_ = 0;
        return status;
      }
      if (done < 0 || Clock::now() >= end) return -1;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

 private:
  pid_t id_;
};

// Reads until the end of the output. Empty when all went well, else what is wrong.
std::string read_output(int pipe, Clock::time_point end, KeyText& text) {
  while (!text.full()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd wait{.fd = pipe, .events = POLLIN, .revents = 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready == 0) return "is not done in time";
    if (ready < 0 && errno != EINTR) return fmt::format("cannot be read: {}", std::strerror(errno));
    if (ready < 0) continue;
    const ssize_t count = text.read_from(pipe);
    if (count == 0) return {};
    if (count < 0 && errno != EINTR) return fmt::format("cannot be read: {}", std::strerror(errno));
  }
  return "writes more than a key file may have";
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return fmt::format("ended with exit code {}", WEXITSTATUS(status));
  return fmt::format("was ended by signal {}", WTERMSIG(status));
}

}  // namespace

KeyringResult read_key_command(const KeyCommand& command) {
  if (command.argv.empty() || !command.argv.front().starts_with('/'))
    return unexpected(std::string("key command: must begin with the absolute path of a program"));
  const std::string name = fmt::format("key command {}", command.argv.front());
  const auto failed = [&](std::string_view what) {
    return unexpected(fmt::format("{}: {}", name, what));
  };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(std::strerror(errno));
  const KeyDescriptor reading(ends[0]);
  KeyDescriptor writing(ends[1]);

  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const auto end = Clock::now() + std::chrono::milliseconds(command.timeout_ms);
  pid_t id = 0;
  {
    const SpawnSettings settings(writing.get());
    const int error =
        posix_spawn(&id, argv[0], &settings.files, &settings.attributes, argv.data(), environ);
    if (error != 0) return failed(fmt::format("cannot start: {}", std::strerror(error)));
  }
  Child child(id);
  writing.close();
  KeyText text;
  if (std::string error = read_output(reading.get(), end, text); !error.empty())
    return failed(error);
  const int status = child.wait_until(end);
  if (status < 0) return failed("is not done in time");
  if (status != 0) return failed(how_it_ended(status));
  return Keyring::parse(text.view(), name);
}

}  // namespace tokenring
