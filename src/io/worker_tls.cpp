// The worker's part of TLS: connections go to a handshaker (see handshaker.hpp) and come back with
// a session. The engine hears of a client, or of a link that is connected, only then.
#include <sys/epoll.h>

#include <cerrno>
#include <string>
#include <utility>

#include "io/log.hpp"
#include "io/worker.hpp"

namespace tokenring {

namespace {

constexpr std::int64_t kTellMs = 1'000;  // Between two lines about what is told in numbers.

}  // namespace

std::shared_ptr<const TlsContext> Worker::front_of(std::uint16_t address) const noexcept {
  if (options_.fronts == nullptr || address >= options_.fronts->size()) return nullptr;
  return (*options_.fronts)[address];
}

void Worker::begin_handshake(Fd fd, std::uint16_t address,
                             std::shared_ptr<const TlsContext> front) noexcept {
  Handshake handshake{.fd = std::move(fd),
                      .context = std::move(front),
                      .timeout_ms = options_.snapshot->limits.handshake_timeout_ms,
                      .address = address};
  if (options_.client_handshakes->begin(std::move(handshake), shaken_)) {
    ++handshaking_;
    return;
  }
  count(Counter::kTlsRefused);
  ++refused_handshakes_;
}

// The engine's deadline for the connection holds for the handshake too.
void Worker::begin_link_handshake(LinkId id) noexcept {
  LinkSocket& socket = links_[id.index];
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket.fd.get(), nullptr);
  Handshake handshake{.fd = std::move(socket.fd),
                      .context = socket.node_tls.context,
                      .timeout_ms = socket.node_tls.timeout_ms,
                      .is_node = true,
                      .link = id,
                      .name = socket.node_tls.name,
                      .place = socket.node_tls.name + "@" + socket.place};
  socket.shaking = options_.node_handshakes->begin(std::move(handshake), shaken_);
  if (!socket.shaking) engine_.link_lost(id, now_, "tls: no handshake can be made at present");
}

void Worker::end_handshake(Handshake& handshake) noexcept {
  if (handshake.is_node) return end_link_handshake(handshake);
  --handshaking_;
  switch (handshake.outcome) {
    case Handshake::Outcome::kDone:
      count(Counter::kTlsHandshakes);
      if (handshake.session->was_resumed()) count(Counter::kTlsResumed);
      return add_client(std::move(handshake.fd), handshake.address, std::move(handshake.session));
    case Handshake::Outcome::kFailed:
      count(Counter::kTlsFailed);
      ++failed_handshakes_;
      handshake_problem_ = std::move(handshake.problem);
      return;
    case Handshake::Outcome::kRefused:
      count(Counter::kTlsRefused);
      ++refused_handshakes_;
      return;
  }
}

void Worker::end_link_handshake(Handshake& handshake) noexcept {
  const LinkId id = handshake.link;
  LinkSocket& socket = links_[id.index];
  if (socket.generation != id.generation || !socket.shaking) return;  // It was given up meanwhile.
  socket.shaking = false;
  if (handshake.outcome != Handshake::Outcome::kDone) {
    count(Counter::kTlsNodeFailed);
    tell_failed(socket);
    return engine_.link_lost(id, now_, "tls: " + handshake.problem);
  }
  count(Counter::kTlsNodeHandshakes);
  if (handshake.session->was_resumed()) count(Counter::kTlsNodeResumed);
  socket.fd = std::move(handshake.fd);
  socket.tls = std::move(handshake.session);
  watch(socket.fd.get(), Kind::kLink, id.index, id.generation, kReadable);
  engine_.link_connected(id, now_);
  read_link(id, false);
}

// Once a second and in numbers: what strangers do must not fill the log.
void Worker::tell_of_handshakes() noexcept {
  if (failed_handshakes_ == 0 && refused_handshakes_ == 0) return;
  if (now_.instant < tell_handshakes_at_) return;
  tell_handshakes_at_ = now_.instant.plus_ms(kTellMs);
  if (const std::uint64_t failed = std::exchange(failed_handshakes_, 0); failed != 0) {
    log_event(LogLevel::kWarn, LogEvent::kTls,
              "{} handshake{} of clients failed, the last for: {} (worker {})", failed,
              failed == 1 ? "" : "s", handshake_problem_, options_.index);
  }
  if (const std::uint64_t refused = std::exchange(refused_handshakes_, 0); refused != 0) {
    log_event(LogLevel::kWarn, LogEvent::kTls,
              "{} refused, for limits.handshakes_max is reached (worker {})", refused,
              options_.index);
  }
}

std::string Worker::why_lost(const LinkSocket& socket) {
  const int number = errno;
  if (socket.tls != nullptr && !socket.tls->problem().empty())
    return "tls: " + socket.tls->problem();
  return std::system_category().message(number);
}

}  // namespace tokenring
