#include "app/audit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "io/clock.hpp"
#include "io/log.hpp"
#include "io/recent.hpp"

namespace tokenring {

namespace {

constexpr int kPollMs = 100;
constexpr mode_t kMode = 0640;

std::string_view shown(std::string_view text) {
  return text.empty() ? "-" : text;
}

constexpr std::string_view kIsLink = "is a symbolic link; name the file itself";

std::string problem_text(const AuditConfig& config, std::string_view text) {
  return fmt::format("{}: {}: {}", config.file_at, config.file, text);
}

}  // namespace

Result<Fd, std::string> open_audit_file(const AuditConfig& config) {
  const std::string& path = config.file;
  const auto problem = [&](std::string_view text) {
    return unexpected(problem_text(config, text));
  };
  if (path == "-") {
    Fd copy(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    if (!copy) return problem(std::strerror(errno));
    return copy;
  }
  // Non-blocking, or opening a FIFO would wait for its reader.
  Fd file(::open(path.c_str(),
                 O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                 kMode));
  if (file) return file;
  if (errno == ELOOP) return problem(kIsLink);
  if (errno == ENXIO) return problem("is a pipe that nobody reads, or a socket");
  return problem(fmt::format("cannot be written to: {}", std::strerror(errno)));
}

std::string problem_with_audit_file(const AuditConfig& config) {
  const std::string& path = config.file;
  if (path == "-") return {};
  const auto may = [](const std::string& place, int mode) {
    return ::faccessat(AT_FDCWD, place.c_str(), mode, AT_EACCESS) == 0;
  };
  struct stat about {};
  if (::lstat(path.c_str(), &about) == 0) {
    if (S_ISLNK(about.st_mode)) return problem_text(config, kIsLink);
    if (S_ISDIR(about.st_mode)) errno = EISDIR;
    if (!S_ISDIR(about.st_mode) && may(path, W_OK)) return {};
    return problem_text(config, fmt::format("cannot be written to: {}", std::strerror(errno)));
  }
  if (errno != ENOENT)
    return problem_text(config, fmt::format("cannot be written to: {}", std::strerror(errno)));
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos
                                 ? std::string(".")
                                 : path.substr(0, std::max<std::size_t>(slash, 1));
  if (may(folder, W_OK | X_OK)) return {};
  return problem_text(config,
                      fmt::format("cannot be made in {}: {}", folder, std::strerror(errno)));
}

AuditLog::AuditLog(AuditQueue& queue, Fd file)
    : queue_(queue), file_(std::move(file)), thread_([this] { work(); }) {}

AuditLog::~AuditLog() {
  end_by_ns_.store(read_clock().instant.plus_ms(kStopMs).ns);
  queue_.wake();
  thread_.join();
}

void AuditLog::use(Fd file) noexcept {
  {
    const std::lock_guard lock(mutex_);
    next_file_ = std::move(file);
  }
  queue_.wake();
}

bool AuditLog::is_over() const noexcept {
  return end_by_ns_.load() != INT64_MAX;
}

void AuditLog::work() noexcept {
  ::prctl(PR_SET_NAME, "tr-audit", 0UL, 0UL, 0UL);
  while (true) {
    const bool is_last = is_over();  // Before it takes: what was put in earlier is written.
    const AuditQueue::Taken taken = queue_.take();
    swap_file();
    write(text_of(taken));
    if (is_last) return;
    if (is_over()) queue_.wake();
  }
}

bool AuditLog::swap_file() noexcept {
  const std::lock_guard lock(mutex_);
  if (!next_file_) return false;
  file_ = std::move(next_file_);
  is_torn_ = false;
  return true;
}

std::string AuditLog::text_of(const AuditQueue::Taken& taken) noexcept {
  std::string text;
  for (const AuditBatch& batch : taken.batches) {
    for (const AuditEvent& event : batch.events) {
      add_line(batch, event, {}, text);
      if (is_trouble(event)) keep_anomaly(trouble_text(batch, event));
      const bool is_failure = event.outcome == AuditOutcome::kFailure;
      if (event.action != AuditAction::kLogin || !is_failure) continue;
      // Who he says he is proves nothing: by host.
      if (const auto finding = detector_.login_failed(source_of({}, event.peer), batch.instant))
        tell_guesser(batch, event.identity, event.peer, *finding, text);
    }
    look_for_guessers(batch, text);
  }
  drops_.add(taken.dropped);
  if (drops_.all() > 0 && !taken.batches.empty()) {
    const AuditEvent event{.action = AuditAction::kAuditDropped,
                           .outcome = AuditOutcome::kFailure,
                           .reason = "nothing took them"};
    AuditBatch batch;
    batch.at_ms = taken.batches.back().at_ms;
    add_line(batch, event, {.drops = std::exchange(drops_, {})}, text);
  }
  return text;
}

void AuditLog::add_line(const AuditBatch& batch, const AuditEvent& event, AuditExtras extras,
                        std::string& text) noexcept {
  extras.number = ++lines_;
  are_sampled_.push_back(event.is_sampled);
  text += audit_line(batch, event, extras);
}

void AuditLog::look_for_guessers(const AuditBatch& batch, std::string& text) noexcept {
  for (const MissedKeys& missed : batch.misses) {
    const std::string_view who = source_of(missed.identity, missed.peer);
    for (const std::uint64_t key : missed.keys)
      if (const auto finding = detector_.missed(who, key, batch.instant))
        tell_guesser(batch, missed.identity, missed.peer, *finding, text);
  }
}

void AuditLog::tell_guesser(const AuditBatch& batch, const std::string& identity,
                            const std::string& peer, const EnumerationDetector::Finding& finding,
                            std::string& text) noexcept {
  const bool is_login = finding.sign == EnumerationDetector::Sign::kFailedLogins;
  const AuditEvent event{.action = AuditAction::kEnumeration,
                         .outcome = AuditOutcome::kUnknown,
                         .reason = is_login ? "far more failed logins than usual"
                                            : "far more different keys missed than usual",
                         .identity = identity,
                         .peer = peer};
  add_line(batch, event, {.count = finding.count, .usual = finding.usual}, text);
  queue_.counts().enumerations.fetch_add(1, std::memory_order_relaxed);
  log_event(LogLevel::kWarn, LogEvent::kAudit,
            "enumeration suspected: {} {} within a minute, {} is usual (identity {}, peer {})",
            finding.count, is_login ? "failed logins" : "different keys missed", finding.usual,
            shown(identity), shown(source_of({}, peer)));
}

// A line that was begun and could not be ended is parted from the next one.
void AuditLog::write(std::string_view text) noexcept {
  if (is_torn_ && !text.empty() && ::write(file_.get(), "\n", 1) == 1) is_torn_ = false;
  bool is_within = false;  // In the middle of a line.
  while (!text.empty()) {
    const std::size_t line_bytes = text.find('\n') + 1;
    if (swap_file() && std::exchange(is_within, false)) {
      lose(text.substr(0, line_bytes), 0);
      text.remove_prefix(line_bytes);
      continue;
    }
    if (!has_room()) {
      if (read_clock().instant.ns > end_by_ns_.load()) return lose(text, ETIMEDOUT);
      continue;
    }
    struct stat about {};
    const bool takes_all = ::fstat(file_.get(), &about) == 0 && S_ISREG(about.st_mode);
    const ssize_t n = ::write(file_.get(), text.data(), takes_all ? text.size() : line_bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return lose(text, errno);
    const std::string_view written = text.substr(0, static_cast<std::size_t>(n));
    const auto ends = static_cast<std::uint64_t>(std::count(written.begin(), written.end(), '\n'));
    static_cast<void>(done_with(ends));
    queue_.counts().written.fetch_add(ends, std::memory_order_relaxed);
    is_torn_ = is_within = !written.ends_with('\n');
    text.remove_prefix(written.size());
  }
}

void AuditLog::lose(std::string_view text, int error) noexcept {
  const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  const AuditDrops lost = done_with(lines);
  drops_.add(lost);
  queue_.counts().dropped(lost);
  if (error == 0) return;
  queue_.counts().write_errors.fetch_add(1, std::memory_order_relaxed);
  log_event(LogLevel::kError, LogEvent::kAudit, "{} event{} lost: {}", lines,
            lines == 1 ? " is" : "s are", ::strerrordesc_np(error));
}

AuditDrops AuditLog::done_with(std::size_t lines) noexcept {
  AuditDrops of_kind;
  for (; lines > 0; --lines) {
    of_kind.add(are_sampled_.front());
    are_sampled_.pop_front();
  }
  return of_kind;
}

bool AuditLog::has_room() const noexcept {
  pollfd room{.fd = file_.get(), .events = POLLOUT, .revents = 0};
  return ::poll(&room, 1, kPollMs) == 1 && (room.revents & (POLLOUT | POLLERR)) != 0;
}

Result<std::unique_ptr<AuditLog>, std::string> begin_audit_log(const AuditConfig& config,
                                                               AuditQueue& queue, Fd file) {
  try {
    return std::make_unique<AuditLog>(queue, std::move(file));
  } catch (const std::system_error& error) {
    return unexpected(problem_text(config, fmt::format("no thread writes it: {}", error.what())));
  }
}

}  // namespace tokenring
