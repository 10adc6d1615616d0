#include "io/login_checker.hpp"

#include <system_error>
#include <utility>

#include "io/log.hpp"

namespace tokenring {

void LoginChecker::ask(LoginJob job, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (has_thread()) {
      queue_.push_back({std::move(job), std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  job.found = nullptr;
  done(std::move(job));
}

// REQUIRES: mutex_ is held.
bool LoginChecker::has_thread() noexcept {
  if (thread_.joinable()) return true;
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error& error) {
    log_event(LogLevel::kError, LogEvent::kAccess, "logins fail unchecked: no thread: {}",
              error.what());
    return false;
  }
  return true;
}

void LoginChecker::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void LoginChecker::work() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    entry.job.check();
    entry.done(std::move(entry.job));
    lock.lock();
  }
}

}  // namespace tokenring
