#include "io/worker.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "io/clock.hpp"
#include "io/log.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr int kEventsMax = 256;          // Events taken from the kernel at once.
constexpr int kRoundsMax = 8;            // Times the ready list is taken before anything is sent.
constexpr std::int64_t kTurnMsMax = 50;  // What a turn counts for on the engine's clock.
// Between two lines about what is told in numbers.
constexpr std::int64_t kTellAcceptsMs = 1'000;

constexpr std::uint64_t packed(std::uint8_t kind, std::uint32_t index, std::uint32_t generation) {
  return std::uint64_t{kind} << 60 | std::uint64_t{generation & 0xFFF'FFFF} << 32 | index;
}

std::system_error refused(const char* what) {
  return std::system_error(errno, std::system_category(), what);
}

}  // namespace

Worker::Worker(WorkerOptions options)
    : options_(std::move(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      now_(read_clock()),
      engine_(options_.snapshot,
              {.seed = static_cast<std::uint64_t>(now_.instant.ns) * 0x9E3779B97F4A7C15 +
                       options_.index,
               .worker = options_.index,
               .board = options_.board,
               .counters = &options_.board->of_worker[options_.index],
               .latencies = &options_.board->latencies[options_.index],
               .started_s = options_.started_s,
               .requests_max = EngineOptions::requests_allowed(options_.board->of_worker.size())},
              now_),
      pacer_(options_.snapshot->coalesce_max_ns) {
  if (!epoll_ || !wake_) throw refused("cannot create an epoll set");
  shaken_ = [this](Handshake&& handshake) {
    post([&](Mail& mail) { mail.handshakes.push_back(std::move(handshake)); });
  };
  watch(wake_.get(), Kind::kWake, 0, 0, EPOLLIN);
}

// Its own descriptors: when it lets go of them is nobody else's matter.
void Worker::listen(std::vector<Listener> listeners) {
  listeners_ = std::move(listeners);
  for (Listener& listener : listeners_) {
    listening_.emplace_back(::fcntl(listener.fd, F_DUPFD_CLOEXEC, 0));
    if (!listening_.back()) throw refused("cannot share a listening socket");
    listener.fd = listening_.back().get();
  }
  watch_listeners();
}

void Worker::watch_listeners() noexcept {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i)
    watch(listeners_[i].fd, Kind::kListener, i, 0, EPOLLIN);
}

void Worker::unwatch_listeners() noexcept {
  for (const Listener& listener : listeners_)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.fd, nullptr);
}

void Worker::stop() noexcept {
  post([](Mail& mail) { mail.stops = true; });
}

void Worker::drain() noexcept {
  post([](Mail& mail) { mail.drains = true; });
}

void Worker::finish() noexcept {
  post([](Mail& mail) { mail.finishes = true; });
}

void Worker::adopt(std::shared_ptr<const Snapshot> snapshot,
                   std::shared_ptr<const std::vector<NodeAddress>> nodes,
                   std::shared_ptr<const Fronts> fronts,
                   std::shared_ptr<const void> taken) noexcept {
  post([&](Mail& mail) {
    mail.snapshot = std::move(snapshot);
    mail.nodes = std::move(nodes);
    mail.fronts = std::move(fronts);
    mail.taken.push_back(std::move(taken));
  });
}

void Worker::take_client(Fd fd, std::string asker) noexcept {
  post([&](Mail& mail) {
    if (!has_ended()) mail.clients.push_back({std::move(fd), std::move(asker)});
  });
}

template <typename F>
void Worker::post(F&& write) noexcept {
  {
    const std::lock_guard lock(mail_mutex_);
    write(mail_);
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
}

// What other threads have asked for since the last time.
void Worker::read_mail() noexcept {
  std::uint64_t ignored = 0;
  static_cast<void>(::read(wake_.get(), &ignored, sizeof(ignored)));
  Mail mail;
  {
    const std::lock_guard lock(mail_mutex_);
    mail = std::exchange(mail_, {});
  }
  stopping_ |= mail.stops;
  if (mail.snapshot != nullptr) {
    options_.snapshot = mail.snapshot;
    options_.nodes = mail.nodes;
    options_.fronts = mail.fronts;
    pacer_.set_max(mail.snapshot->coalesce_max_ns);
    engine_.adopt(std::move(mail.snapshot), now_);
  }
  for (Insider& insider : mail.clients)
    add_client(std::move(insider.fd), kInside, nullptr,
               {.kind = Peer::Kind::kInside, .asker = std::move(insider.asker)});
  for (Handshake& handshake : mail.handshakes) end_handshake(handshake);
  for (LoginJob& job : mail.logins) engine_.login_checked(std::move(job), now_);
  for (Answer& answer : mail.answers) {
    engine_.fills().answer(answer.id, answer.text ? &*answer.text : nullptr, answer.may_store,
                           now_);
    if (answer.text) wipe(*answer.text);
  }
  if (mail.drains && !draining_) {
    draining_ = true;
    unwatch_listeners();
    listeners_.clear();
    listening_.clear();
    accept_paused_ = false;
  }
  if (mail.finishes && !finishing_) {
    finishing_ = true;
    finish_by_ = now_.instant.plus_ms(kFinishMs);
    engine_.end_clients();
  }
}

void Worker::ask(Question question) noexcept {
  const SlabId id = question.id;
  if (options_.asker == nullptr) return engine_.fills().answer(id, nullptr, false, now_);
  options_.asker->ask(options_.snapshot, std::move(question),
                      [this, id](const std::string* answer, bool may_store) {
                        post([&](Mail& mail) {
                          mail.answers.push_back({id, {}, may_store});
                          if (answer != nullptr) mail.answers.back().text = *answer;
                        });
                      });
}

// The loop: wait, take all that is ready, then send what that led to, each socket once.
void Worker::run() noexcept {
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);  // Else short waits take 50 us more.
  std::array<char, 16> name{};                        // As long as the kernel lets it be.
  fmt::format_to_n(name.data(), name.size() - 1, "tr-worker-{}", options_.index);
  ::prctl(PR_SET_NAME, name.data(), 0UL, 0UL, 0UL);
  std::array<epoll_event, kEventsMax> events;
  carry_out();
  while (!stopping_ && !(draining_ && engine_.client_count() + handshaking_ == 0)) {
    gather();
    int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, wait_ms());
    begin_turn();
    for (int round = 0; count > 0; ++round) {
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        handle(event.data.u64, event.events);
      }
      // A full list says that there is more.
      if (count < kEventsMax || round == kRoundsMax) break;
      count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, 0);
    }
    if (now_.instant >= next_tick_) {
      engine_.tick(now_);
      beats_.store(beats() + 1, std::memory_order_relaxed);
      next_tick_ = now_.instant.plus_ms(Engine::kTickMs);
      if (draining_) engine_.drain_clients(false, now_);
      stopping_ |= finishing_ && now_.instant >= finish_by_;
      tell_of_accepts();
      tell_of_handshakes();
      if (accept_paused_ && now_.instant >= accept_again_) {
        accept_paused_ = false;
        watch_listeners();
      }
    }
    carry_out();
    if (std::exchange(has_mail_, false)) {
      read_mail();
      carry_out();
    }
    flush_held();
    engine_.end_turn(time_now());
  }
  end();
}

// Who waits for an answer learns at once that none will come, and may ask another worker.
void Worker::end() noexcept {
  {
    const std::lock_guard lock(mail_mutex_);
    has_ended_.store(true, std::memory_order_relaxed);
    mail_.clients.clear();
  }
  listening_.clear();
  for (ClientSocket& socket : clients_) close(socket);
}

Now Worker::time_now() const noexcept {
  Now now = read_clock();
  now.instant.ns -= stalled_ns_;
  return now;
}

// Time in which this process did not run is no node's fault and counts for no deadline: the answers
// may have been here all along.
void Worker::begin_turn() noexcept {
  Now now = time_now();
  const std::int64_t over_ns = now.instant.ns - now_.instant.ns - kTurnMsMax * 1'000'000;
  if (over_ns > 0) {
    stalled_ns_ += over_ns;
    engine_.set_lag(stalled_ns_);
    now.instant.ns -= over_ns;
  }
  now_ = now;
}

int Worker::wait_ms() const noexcept {
  if (!held_.empty()) return 1;
  return static_cast<int>(Engine::kTickMs);
}

// What an operator should know of the nodes. Each worker has its own view of them.
void Worker::tell(const NodeEvent& event) noexcept {
  const std::string& place = (*options_.nodes)[event.backend].place;
  switch (event.kind) {
    case NodeEvent::Kind::kUp:
      audit({.action = AuditAction::kNodeUp, .backend = event.backend});
      return log_event(LogLevel::kInfo, LogEvent::kNodeUp, "{} (worker {})", place, options_.index);
    case NodeEvent::Kind::kFlushed:
      audit({.action = AuditAction::kNodeFlushed,
             .reason = "writes had gone past it",
             .backend = event.backend});
      return log_event(LogLevel::kWarn, LogEvent::kNodeUp,
                       "{} (worker {}) was flushed, for writes had gone past it", place,
                       options_.index);
    case NodeEvent::Kind::kDown:
      break;
  }
  const LogEvent kind = event.why == WireError::kNodeTooOld     ? LogEvent::kNodeRefused
                        : event.why == WireError::kNodeBadReply ? LogEvent::kNodeOutOfStep
                        : event.why == WireError::kNodeTimeout  ? LogEvent::kNodeTimeout
                                                                : LogEvent::kNodeDown;
  constexpr std::string_view kForClients = "SERVER_ERROR ";
  std::string_view why = line_of(event.why);
  if (why.starts_with(kForClients)) why.remove_prefix(kForClients.size());
  why = why.substr(0, why.find('\r'));
  audit({.action = AuditAction::kNodeDown,
         .outcome = AuditOutcome::kFailure,
         .reason = why,
         .backend = event.backend});  // The detail may have words of the node.
  log_event(LogLevel::kWarn, kind, "{} (worker {}): {}", place, options_.index,
            event.detail.empty() ? why : event.detail);
}

void Worker::tell_of_accepts() noexcept {
  if (accept_error_ == 0 && refused_clients_ == 0) return;
  if (now_.instant < tell_accepts_at_) return;
  tell_accepts_at_ = now_.instant.plus_ms(kTellAcceptsMs);
  if (const int error = std::exchange(accept_error_, 0); error != 0) {
    log_event(LogLevel::kWarn, LogEvent::kAccept, "cannot take new connections: {} (worker {})",
              ::strerrordesc_np(error), options_.index);
  }
  if (const std::uint64_t count = std::exchange(refused_clients_, 0); count != 0) {
    log_event(LogLevel::kWarn, LogEvent::kClients,
              "{} refused, for limits.clients_max is reached (worker {})", count, options_.index);
  }
}

void Worker::tell(const SealEvent& event) noexcept {
  const auto spaces = options_.snapshot->namespaces.all();
  const bool names_node = event.backend < options_.nodes->size();
  if (event.space >= spaces.size()) return;
  const LogEvent kind = event.is_lost ? LogEvent::kReplay : LogEvent::kSeal;
  log_event(
      LogLevel::kWarn, kind, "{}{} (namespace \"{}\", key reference {}, node {}, worker {})",
      event.is_lost ? "what had been added was lost before its time, and was added again"
                    : "a value did not open: ",
      event.is_lost ? std::string_view() : name_of(event.outcome), spaces[event.space].prefix,
      std::string_view(event.reference.data(), event.reference.size()),
      names_node ? std::string_view((*options_.nodes)[event.backend].place) : "that is leaving",
      options_.index);
}

void Worker::tell(const AccessEvent& event) noexcept {
  using What = AccessEvent::Kind;
  const auto spaces = options_.snapshot->namespaces.all();
  const bool is_good = event.kind == What::kLoggedIn || event.kind == What::kRecognised;
  const bool has_command = event.kind == What::kDenied || event.kind == What::kRateLimited;
  std::string more;
  if (has_command) more += fmt::format(", command {}", row_of(event.command).name);
  if (event.space < spaces.size())
    more += fmt::format(", namespace \"{}\"", spaces[event.space].prefix);
  if (event.has_reference)
    more += fmt::format(", key reference {}",
                        std::string_view(event.reference.data(), event.reference.size()));
  log_event(is_good ? LogLevel::kDebug : LogLevel::kWarn, LogEvent::kAccess,
            "{} (identity {}, peer {}{}, worker {})", name_of(event.kind),
            event.identity.empty() ? "-" : event.identity, event.peer.empty() ? "-" : event.peer,
            more, options_.index);
}

void Worker::carry_out(AccessWork& work) noexcept {
  for (const AccessEvent& event : work.events) tell(event);
  for (LoginJob& job : work.logins) check_login(std::move(job));
}

// Comes back with the mail.
void Worker::check_login(LoginJob job) noexcept {
  if (options_.checker == nullptr) return;
  options_.checker->ask(std::move(job), [this](LoginJob done) {
    post([&](Mail& mail) { mail.logins.push_back(std::move(done)); });
  });
}

void Worker::gather() noexcept {
  pacer_.observe(now_.instant.ns, engine_.requests_sent(), engine_.response_ns());
  const std::int64_t wait = pacer_.wait_ns(engine_.in_flight());
  if (wait == 0) return;
  const timespec pause{.tv_sec = 0, .tv_nsec = wait};
  ::nanosleep(&pause, nullptr);
}

void Worker::handle(std::uint64_t data, std::uint32_t events) noexcept {
  const auto index = static_cast<std::uint32_t>(data);
  const auto generation = static_cast<std::uint32_t>(data >> 32) & 0xFFF'FFFF;
  switch (static_cast<Kind>(data >> 60)) {
    case Kind::kListener:
      return accept_clients(index);
    case Kind::kWake:
      has_mail_ = true;  // Read when the engine's wishes of this turn are carried out.
      return;
    case Kind::kClient:
      return handle_client({index, generation}, events);
    case Kind::kLink:
      return handle_link({index, generation}, events);
  }
}

void Worker::watch(int fd, Kind kind, std::uint32_t index, std::uint32_t generation,
                   std::uint32_t events, int how) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = packed(static_cast<std::uint8_t>(kind), index, generation);
  ::epoll_ctl(epoll_.get(), how, fd, &event);
}

// ---- The engine's wishes

void Worker::carry_out() noexcept {
  engine_.resume(now_);
  while (!engine_.outbox().empty()) {
    work_.swap(engine_.outbox());
    for (Question& question : work_.questions) ask(std::move(question));
    for (const LinkId id : work_.close_links) close_link(id);
    for (const NodeEvent& event : work_.node_events) tell(event);
    for (const SealEvent& event : work_.seal_events) tell(event);
    if (work_.access != nullptr) carry_out(*work_.access);
    for (const ClientId id : work_.close_clients) lose_client(id);
    for (const LinkId id : work_.open_links) open_link(id);
    for (const LinkId id : work_.flush_links) flush_link(id);
    for (const ClientId id : work_.flush_clients) flush_or_hold(id);
    for (const ClientId id : work_.read_clients) {
      ClientSocket* socket = client_socket(id);
      if (socket == nullptr || !socket->unread) continue;
      socket->unread = false;
      read_client(id, true);
    }
    work_.clear();
    engine_.resume(now_);
  }
  if (auto told = engine_.audit().take(); told != nullptr) audit(std::move(told));
}

}  // namespace tokenring
