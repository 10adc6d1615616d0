// AuditLog: writes down what the AuditQueue has, in a thread of its own, and looks in it for those
// who guess keys. Only that thread ever waits for a slow disk or a pipe that nobody reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "app/audit_line.hpp"
#include "app/config.hpp"
#include "io/audit_queue.hpp"
#include "io/socket.hpp"
#include "policy/enumeration.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// For "-", standard output. The file is made with mode 0640 where there is none; a symbolic link is
// refused. The error is one line that names where it is named.
[[nodiscard]] Result<Fd, std::string> open_audit_file(const AuditConfig& config);

// Why open_audit_file() would fail, as far as can be told without making the file; empty: it would
// not.
[[nodiscard]] std::string problem_with_audit_file(const AuditConfig& config);

class AuditLog {
 public:
  static constexpr std::int64_t kStopMs = 1'000;  // For what is left to be written at the end.

  // `queue` outlives it.
  AuditLog(AuditQueue& queue, Fd file);
  // Writes what is there, as far as that is possible soon.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // From now on lines go there. Each goes to one file alone.
  void use(Fd file) noexcept;

 private:
  void work() noexcept;
  // True: lines go elsewhere from now on.
  bool swap_file() noexcept;
  // Lines of all that was taken, in the order in which it came.
  [[nodiscard]] std::string text_of(const AuditQueue::Taken& taken) noexcept;
  void lose(std::string_view text, int error) noexcept;
  // The first so many lines are no longer waited for; what they were.
  [[nodiscard]] AuditDrops done_with(std::size_t lines) noexcept;
  void add_line(const AuditBatch& batch, const AuditEvent& event, AuditExtras extras,
                std::string& text) noexcept;
  void look_for_guessers(const AuditBatch& batch, std::string& text) noexcept;
  void tell_guesser(const AuditBatch& batch, const std::string& identity, const std::string& peer,
                    const EnumerationDetector::Finding& finding, std::string& text) noexcept;
  void write(std::string_view text) noexcept;
  // Whether the file takes something; waits a little for that.
  [[nodiscard]] bool has_room() const noexcept;
  [[nodiscard]] bool is_over() const noexcept;

  AuditQueue& queue_;
  Fd file_;               // The thread's own, as is what follows.
  bool is_torn_ = false;  // It ends in a part of a line.
  std::uint64_t lines_ = 0;
  std::deque<bool> are_sampled_;  // Of lines that are not written yet.
  AuditDrops drops_;              // That the log itself does not tell of yet.
  EnumerationDetector detector_;
  std::mutex mutex_;
  Fd next_file_;
  std::atomic<std::int64_t> end_by_ns_ = INT64_MAX;  // Set when it is to end.
  std::thread thread_;
};

// A log that writes to `file`, as open_audit_file() opened it. The error, where there is no thread
// for it, is one line that names where it is named.
[[nodiscard]] Result<std::unique_ptr<AuditLog>, std::string> begin_audit_log(
    const AuditConfig& config, AuditQueue& queue, Fd file);

}  // namespace tokenring
