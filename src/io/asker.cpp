// The loop: take what workers ask, start what may be asked, let libcurl carry it, answer.
//
//   take:    an answer that is held, or a job that is under way, or a new job -> start, or wait in
//            line
//   finish:  every one who asked gets the answer; the next in line starts
#include "io/asker.hpp"

#include <curl/curl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <list>
#include <map>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "io/clock.hpp"
#include "io/http_call.hpp"
#include "io/log.hpp"
#include "policy/breaker.hpp"
#include "policy/claims.hpp"

namespace tokenring {

namespace {

constexpr int kPollMs = 100;
constexpr int kIdlePollMs = 60'000;

}  // namespace

// All that the asker's thread has.
class Asker::Desk {
 public:
  explicit Desk(AuditQueue* audit) : audit_(audit), multi_(curl_multi_init()) {}
  ~Desk();
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  void take(Letter letter);
  // Waits until something happens at a socket or at `wake`, or is due.
  void turn(int wake);

 private:
  struct Endpoint;
  struct Job {
    Endpoint* endpoint = nullptr;
    std::shared_ptr<const Introspection> rules;
    std::string key;  // What those that share it have in common.
    std::string token;
    std::string space;  // Prefix of its namespace,
    std::uint16_t space_number = 0;
    std::shared_ptr<const AuditNames> names;  // among which that has the number; null: no log.
    std::int64_t skew_s = 0;
    Instant deadline;
    bool is_joined = true;
    bool may_store = true;
    std::vector<Done> waiting;
    std::unique_ptr<HttpCall> call;
  };
  using Jobs = std::list<Job>;
  struct Endpoint {
    std::shared_ptr<Tallies> tallies;  // Of the last that asked of it, and its place there.
    std::size_t column = 0;
    Breaker breaker;
    std::uint32_t in_flight = 0;
    std::deque<Jobs::iterator> line;

    void count(IntrospectionTally which) const noexcept {
      cell([&](auto& c) { c.add(which); });
    }
    void tell_gauges() const noexcept;
    void cell(auto&& change) const noexcept {
      if (tallies == nullptr || !tallies->introspections.has(0, column)) return;
      change(tallies->introspections.at(0, column));
    }
  };
  struct Held {
    std::string answer;
    std::string token;
    std::string space;
    Instant until;
  };

  void forget(const Letter& letter);
  void begin(Letter letter, std::string key, Endpoint& endpoint);
  void start(Jobs::iterator job);
  void start_waiting();
  void finish(Jobs::iterator job, IntrospectionTally outcome);
  void hold(const Job& job, const std::string& answer);
  template <typename IsOver>
  void drop_held(IsOver&& is_over);
  void tell(const Job& job, IntrospectionTally outcome);
  void audit(const Job& job, IntrospectionTally outcome);

  AuditQueue* audit_;
  CURLM* multi_;
  std::map<std::string, Endpoint, std::less<>> endpoints_;
  Jobs jobs_;
  std::unordered_map<std::string, Jobs::iterator> joined_;  // By key.
  std::unordered_map<std::string, Held> held_;              // By key.
  ClaimsReader claims_;
};

Asker::Desk::~Desk() {
  for (Job& job : jobs_) {
    if (job.call != nullptr) curl_multi_remove_handle(multi_, job.call->handle());
    wipe(job.token);
  }
  jobs_.clear();
  drop_held([](const Held&) { return true; });
  curl_multi_cleanup(multi_);
}

void Asker::Desk::Endpoint::tell_gauges() const noexcept {
  cell([&](auto& c) {
    c.set(IntrospectionTally::kInFlight, in_flight);
    c.set(IntrospectionTally::kWaiting, line.size());
    c.set(IntrospectionTally::kBreakerOpen, breaker.is_open() ? 1 : 0);
  });
}

void Asker::Desk::take(Letter letter) {
  if (letter.question.forgets) return forget(letter);
  const Namespace& space = letter.snapshot->namespaces.all()[letter.question.space];
  const auto rules = letter.snapshot->introspections[space.tokens.asks];
  // Whose prefix it is and of which time of its group: nobody else shares the answer.
  std::string key =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", rules->name, rules->url, rules->client_id,
                  letter.question.epoch, space.prefix.size(), space.prefix);
  key += letter.question.token;
  Endpoint& endpoint = endpoints_[rules->name];
  endpoint.tallies = letter.snapshot->tallies;
  endpoint.column = space.tokens.asks;
  if (const auto held = held_.find(key);
      held != held_.end() && read_clock().instant < held->second.until) {
    endpoint.count(IntrospectionTally::kShared);
    return letter.done(&held->second.answer, true);
  }
  if (const auto job = joined_.find(key); job != joined_.end()) {
    endpoint.count(IntrospectionTally::kShared);
    job->second->waiting.push_back(std::move(letter.done));
    return;
  }
  begin(std::move(letter), std::move(key), endpoint);
}

// What was asked before a delete is for those that asked before it, and not to be kept.
void Asker::Desk::forget(const Letter& letter) {
  const std::string& token = letter.question.token;
  const std::string_view space =
      token.empty()
          ? std::string_view()
          : std::string_view(letter.snapshot->namespaces.all()[letter.question.space].prefix);
  const auto is_meant = [&](const auto& of) {
    return token.empty() || (of.token == token && of.space == space);
  };
  for (Job& job : jobs_) {
    if (!job.is_joined || !is_meant(job)) continue;
    job.is_joined = job.may_store = false;
    joined_.erase(job.key);
  }
  drop_held(is_meant);
}

void Asker::Desk::begin(Letter letter, std::string key, Endpoint& endpoint) {
  const Namespace& space = letter.snapshot->namespaces.all()[letter.question.space];
  const auto& rules = letter.snapshot->introspections[space.tokens.asks];
  const auto job = jobs_.insert(
      jobs_.end(),
      Job{.endpoint = &endpoint,
          .rules = rules,
          .key = std::move(key),
          .token = std::move(letter.question.token),
          .space = space.prefix,
          .space_number = letter.question.space,
          .names = letter.snapshot->audit == nullptr ? nullptr : letter.snapshot->audit->names,
          .skew_s = space.life.skew_s,
          .deadline = read_clock().instant.plus_ms(rules->timeout_ms),
          .waiting = {},
          .call = nullptr});
  job->waiting.push_back(std::move(letter.done));
  joined_.emplace(job->key, job);
  if (endpoint.in_flight < rules->concurrent_max) return start(job);
  if (endpoint.line.size() < kWaitingMax) return endpoint.line.push_back(job);
  finish(job, IntrospectionTally::kNotAsked);
}

void Asker::Desk::start(Jobs::iterator job) {
  const Instant now = read_clock().instant;
  const std::int64_t left_ms = (job->deadline.ns - now.ns) / 1'000'000;
  if (left_ms <= 0 || !job->endpoint->breaker.may_ask(now))
    return finish(job, IntrospectionTally::kNotAsked);
  job->call = std::make_unique<HttpCall>(job->rules, job->token, left_ms);
  ++job->endpoint->in_flight;
  if (job->call->handle() == nullptr ||
      curl_multi_add_handle(multi_, job->call->handle()) != CURLM_OK)
    finish(job, IntrospectionTally::kUnreachable);
}

// Those in line, while there is room; those whose time is over end.
void Asker::Desk::start_waiting() {
  for (auto& [name, endpoint] : endpoints_) {
    while (!endpoint.line.empty()) {
      const Jobs::iterator job = endpoint.line.front();
      const bool is_late = job->deadline <= read_clock().instant;
      if (!is_late && endpoint.in_flight >= job->rules->concurrent_max) break;
      endpoint.line.pop_front();
      start(job);
    }
    endpoint.tell_gauges();
  }
}

void Asker::Desk::turn(int wake) {
  int running = 0;
  start_waiting();
  curl_multi_perform(multi_, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const HttpCall* call = HttpCall::of(message->easy_handle);
    const auto job = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const Job& other) { return other.call.get() == call; });
    finish(job, job->call->end(message->data.result));
  }
  start_waiting();
  drop_held([now = read_clock().instant](const Held& held) { return now >= held.until; });
  curl_waitfd extra{.fd = wake, .events = CURL_WAIT_POLLIN, .revents = 0};
  curl_multi_poll(multi_, &extra, 1, jobs_.empty() && held_.empty() ? kIdlePollMs : kPollMs,
                  nullptr);
}

// Tells all who asked, and forgets the job.
void Asker::Desk::finish(Jobs::iterator job, IntrospectionTally outcome) {
  Endpoint& endpoint = *job->endpoint;
  endpoint.count(outcome);
  const bool is_answer =
      outcome == IntrospectionTally::kActive || outcome == IntrospectionTally::kInactive;
  if (job->call != nullptr) {
    curl_multi_remove_handle(multi_, job->call->handle());
    --endpoint.in_flight;
    tell(*job, outcome);
    audit(*job, outcome);
  }
  if (job->is_joined) joined_.erase(job->key);
  if (is_answer && job->is_joined) hold(*job, job->call->answer());
  for (const Done& done : job->waiting)
    done(is_answer ? &job->call->answer() : nullptr, job->may_store);
  wipe(job->token);
  jobs_.erase(job);
}

// For the breaker and the log.
void Asker::Desk::tell(const Job& job, IntrospectionTally outcome) {
  Breaker& breaker = job.endpoint->breaker;
  const std::string& name = job.rules->name;
  if (!job.call->problem().empty())
    log_event(LogLevel::kWarn, LogEvent::kIntrospection, "{}: no answer: {}", name,
              job.call->problem());
  if (!is_servers_failure(outcome)) {
    if (breaker.succeeded())
      log_event(LogLevel::kInfo, LogEvent::kIntrospection, "{}: it answers again", name);
    return;
  }
  if (breaker.failed({job.rules->breaker_failures, job.rules->breaker_pause_ms},
                     read_clock().instant))
    log_event(LogLevel::kWarn, LogEvent::kIntrospection, "{}: not asked for {} ms", name,
              job.rules->breaker_pause_ms);
}

// Somebody stands where the server should be, or signs in its place.
void Asker::Desk::audit(const Job& job, IntrospectionTally outcome) {
  const bool is_forged =
      outcome == IntrospectionTally::kUntrusted || outcome == IntrospectionTally::kBadSignature;
  if (!is_forged || audit_ == nullptr || job.names == nullptr) return;
  AuditBatch batch{.at_ms = unix_ms(), .instant = read_clock().instant, .names = job.names};
  batch.events.push_back({.action = AuditAction::kIntrospect,
                          .outcome = AuditOutcome::kFailure,
                          .reason = kIntrospectionTallyNames[static_cast<std::size_t>(outcome)],
                          .space = job.space_number});
  audit_->put(std::move(batch));
}

void Asker::Desk::hold(const Job& job, const std::string& answer) {
  const Now now = read_clock();
  const Claims claims = claims_.read(answer, now.unix_time);
  const bool is_over =
      claims.exp && claims.exp->seconds - job.skew_s <= now.unix_time.seconds + kHoldMs / 1000;
  if (is_over || held_.size() == kHeldMax) return;
  held_.insert_or_assign(job.key, Held{.answer = answer,
                                       .token = job.token,
                                       .space = job.space,
                                       .until = now.instant.plus_ms(kHoldMs)});
}

template <typename IsOver>
void Asker::Desk::drop_held(IsOver&& is_over) {
  for (auto held = held_.begin(); held != held_.end();) {
    if (!is_over(held->second)) {
      ++held;
      continue;
    }
    wipe(held->second.answer);
    wipe(held->second.token);
    held = held_.erase(held);
  }
}

// Not with the first question, which may come while descriptors are short: who cannot be woken
// neither answers nor ends.
Asker::Asker(AuditQueue* audit) : audit_(audit), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!wake_) throw std::system_error(errno, std::system_category(), "cannot create an eventfd");
}

Asker::~Asker() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof one));
  thread_.join();
}

void Asker::ask(std::shared_ptr<const Snapshot> snapshot, Question question, Done done) noexcept {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) {
    if (question.forgets) return;  // Nothing was asked yet.
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      log_event(LogLevel::kError, LogEvent::kIntrospection, "no thread: {}", error.what());
      return done(nullptr, false);
    }
  }
  letters_.push_back({std::move(snapshot), std::move(question), std::move(done)});
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof one));
}

void Asker::run() noexcept {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  Desk desk(audit_);
  while (true) {
    std::uint64_t ignored = 0;
    static_cast<void>(::read(wake_.get(), &ignored, sizeof ignored));
    for (Letter& letter : take_letters()) desk.take(std::move(letter));
    {
      const std::lock_guard lock(mutex_);
      if (stops_) return;
    }
    desk.turn(wake_.get());
  }
}

std::vector<Asker::Letter> Asker::take_letters() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(letters_, {});
}

}  // namespace tokenring
