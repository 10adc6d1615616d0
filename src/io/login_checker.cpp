#include "io/login_checker.hpp"

#include <utility>

namespace tokenring {

void LoginChecker::ask(LoginJob job, Done done) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  queue_.push_back({std::move(job), std::move(done)});
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
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
