#include "io/handshaker.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "io/clock.hpp"

namespace tokenring {

namespace {

constexpr int kEventsMax = 64;
constexpr int kSweepMs = 50;  // How late a handshake may be found to be late.

std::int64_t now_in_ms() noexcept {
  return read_clock().instant.ns / 1'000'000;
}

std::system_error refused(const char* what) {
  return std::system_error(errno, std::system_category(), what);
}

}  // namespace

Handshaker::Handshaker(std::size_t under_way_max)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      under_way_max_(under_way_max) {
  if (!epoll_ || !wake_) throw refused("cannot create an epoll set");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

void Handshaker::stop() noexcept {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
  thread_.join();
}

bool Handshaker::begin(Handshake handshake, const Done& done) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (inbox_.size() >= under_way_max_) return false;
    if (!thread_.joinable()) {
      try {
        thread_ = std::thread([this] { run(); });
      } catch (const std::system_error&) {
        return false;
      }
    }
    inbox_.push_back({.handshake = std::move(handshake), .done = &done});
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
  return true;
}

void Handshaker::run() noexcept {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
  std::array<epoll_event, kEventsMax> events;
  while (true) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), kEventsMax, under_way_.empty() ? -1 : kSweepMs);
    bool is_called = false;
    for (int i = 0; i < count; ++i) {
      void* const of = events[static_cast<std::size_t>(i)].data.ptr;
      is_called |= of == nullptr;
      if (of != nullptr) step(*static_cast<UnderWay*>(of), now_in_ms());
    }
    // After the events, for it may end somebody whose event would still come.
    const std::int64_t now_ms = now_in_ms();
    end_late(now_ms);
    if (!is_called) continue;
    std::uint64_t ignored = 0;
    static_cast<void>(::read(wake_.get(), &ignored, sizeof(ignored)));
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    take_inbox(now_ms);
  }
}

void Handshaker::take_inbox(std::int64_t now_ms) noexcept {
  std::vector<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs.swap(inbox_);
  }
  for (Job& job : jobs) start(std::move(job), now_ms);
}

void Handshaker::start(Job job, std::int64_t now_ms) noexcept {
  UnderWay& one = under_way_.emplace_back();
  one.place = std::prev(under_way_.end());
  one.job = std::move(job);
  one.moved_ms = now_ms;
  if (under_way_.size() > under_way_max_) {
    UnderWay& oldest = under_way_.front();
    const bool is_stuck = now_ms - oldest.moved_ms >= kPatienceMs;
    end(is_stuck ? oldest : one, Handshake::Outcome::kRefused);
    if (!is_stuck) return;
  }
  Handshake& of = one.job.handshake;
  one.deadline_ms = now_ms + of.timeout_ms;
  of.session = of.is_node
                   ? TlsSession::of_node(of.context, of.fd.get(), of.name, std::move(of.place))
                   : TlsSession::of_client(of.context, of.fd.get());
  if (of.session == nullptr)
    return end(one, Handshake::Outcome::kFailed, "a session cannot be made");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &one;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, of.fd.get(), &event);
  step(one, now_ms);
}

void Handshaker::step(UnderWay& one, std::int64_t now_ms) noexcept {
  one.moved_ms = now_ms;
  under_way_.splice(under_way_.end(), under_way_, one.place);
  Handshake& of = one.job.handshake;
  const TlsSession::Step step = of.session->shake();
  switch (step) {
    case TlsSession::Step::kDone:
      return end(one, Handshake::Outcome::kDone);
    case TlsSession::Step::kFailed:
      return end(one, Handshake::Outcome::kFailed, of.session->problem());
    case TlsSession::Step::kWantsRead:
    case TlsSession::Step::kWantsWrite:
      break;
  }
  const bool wants_write = step == TlsSession::Step::kWantsWrite;
  if (wants_write == one.wants_write) return;
  one.wants_write = wants_write;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  if (wants_write) event.events |= EPOLLOUT;
  event.data.ptr = &one;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, of.fd.get(), &event);
}

void Handshaker::end(UnderWay& one, Handshake::Outcome outcome, std::string problem) noexcept {
  const auto place = one.place;
  Job job = std::move(one.job);
  under_way_.erase(place);
  Handshake& of = job.handshake;
  of.outcome = outcome;
  of.problem = std::move(problem);
  if (of.fd) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, of.fd.get(), nullptr);
  if (outcome != Handshake::Outcome::kDone) {
    of.session.reset();
    of.fd.reset();
  }
  (*job.done)(std::move(of));
}

void Handshaker::end_late(std::int64_t now_ms) noexcept {
  for (auto next = under_way_.begin(); next != under_way_.end();) {
    UnderWay& one = *next++;
    if (now_ms >= one.deadline_ms)
      end(one, Handshake::Outcome::kFailed, "it took longer than it may");
  }
}

}  // namespace tokenring
