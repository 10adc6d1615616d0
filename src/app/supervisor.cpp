#include "app/supervisor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <utility>

#include "app/quantity.hpp"
#include "io/clock.hpp"
#include "io/handover.hpp"
#include "io/log.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

namespace {

// Workers have let go of their listening sockets by then.
constexpr std::int64_t kCloseListenersMs = 100;
// Nobody else begins these, so there are as many as links.
constexpr std::size_t kNodeHandshakesMax = std::size_t{1} << 20;
// A predecessor lets go of the control socket just before it answers.
constexpr std::int64_t kControlRetryMs = 200;

std::string_view plural(std::size_t count) {
  return count == 1 ? "" : "s";
}

}  // namespace

Supervisor::Supervisor(CommandLine line, Config config)
    : line_(std::move(line)),
      notifier_(line_.takeover),
      config_(std::move(config)),
      worker_count_(tokenring::worker_count(config_)),
      started_s_(read_clock().unix_time.seconds),
      loaded_s_(started_s_),
      board_(worker_count_),
      client_handshakes_(config_.limits.handshakes_max),
      node_handshakes_(kNodeHandshakesMax),
      control_({.on_signal = [this](int signal) { on_signal(signal); },
                .on_second = [this] { on_second(); },
                .on_command = [this](std::string_view command, std::string asker,
                                     Reply reply) { on_command(command, std::move(asker), reply); },
                .on_takeover =
                    [this] {
                      std::vector<int> sockets;
                      if (phase_ == Phase::kServing)
                        for (const Fd& fd : listeners_.sockets) sockets.push_back(fd.get());
                      return sockets;
                    },
                .on_taken_over = [this](pid_t successor) { give_way(successor); }}),
      resolver_([this](const std::string& name, const auto& found) {
        control_.post([this, name, found] { on_answer(name, found); });
      }) {
  config_.workers = worker_count_;
  // It is read again by this name, and `status` tells it to people in other folders.
  if (!line_.config_file.empty()) {
    const auto whole = std::filesystem::absolute(line_.config_file);
    const bool climbs = line_.config_file.find("..") != std::string::npos;  // Behind a link, say.
    line_.config_file = climbs ? whole : whole.lexically_normal();
  }
}

Supervisor::~Supervisor() {
  pending_.reset();  // Who asked for it waits at control_'s socket, as do those below.
  for (const auto& worker : workers_) worker->stop();
  for (std::thread& thread : threads_) thread.join();
  remove_socket_files();
  listeners_.sockets.clear();  // Nobody connects to a process that is ending.
  // Their threads may wait for a worker, and learn by now that it has ended.
  if (revoking_.joinable()) revoking_.join();
  for (const Revocation& late : revocations_) late.reply("error: this process is ending\n");
  revocations_.clear();
  admin_.reset();
  client_handshakes_.stop();
  node_handshakes_.stop();
  asker_.reset();
  audit({.action = AuditAction::kStop});
  audit_.reset();
  if (admin_endpoint_) remove_socket_file(*admin_endpoint_);
  checker_.stop();
  workers_.clear();  // What they did not take any more answers over control_.
}

void Supervisor::run() {
  control_.post([this] { begin(); });
  control_.run();
}

// Workers start when all names are there, or when they have been waited for.
void Supervisor::begin() {
  auto material = read_material(config_, past_);
  if (!material) throw std::runtime_error(material.error());
  material_ = *std::move(material);
  if (!config_.admin.listen.empty())
    admin_ = std::make_unique<Admin>(
        board_, started_s_,
        [this](const auto& keys, const std::string& asker) { return delete_keys(keys, asker); },
        [this](AuditEvent event) { put_audit(std::move(event)); });
  if (config_.audit.is_on()) {
    auto file = open_audit_file(config_.audit);
    if (!file) throw std::runtime_error(file.error());
    adopt_audit(*std::move(file));
    audit({.action = AuditAction::kStart});
  }
  audit_keys();
  tell_of_keys();
  tell_warnings();
  given_ = inherited_sockets();
  book_.use(config_, read_clock().instant);
  look_up_names(book_);
  if (book_.all_answered()) return serve();
  control_.after(kNamesWaitMs, [this] {
    if (phase_ == Phase::kStarting) serve();
  });
}

void Supervisor::serve() {
  if (line_.takeover) find_predecessor();
  if (const auto adopted = adopt(config_, book_, material_); !adopted)
    throw std::runtime_error(adopted.error());
  make_workers();
  if (!predecessor_) open_admin(false);  // Whoever asks for a revocation there asks a worker.
  open_listeners(config_, worker_count_, std::move(given_), listeners_);
  if (listeners_.left_out > 0) {
    log_event(LogLevel::kWarn, LogEvent::kProcess,
              "{} of the sockets given to this process are not at an address of listen; closed",
              listeners_.left_out);
  }
  run_workers();
  phase_ = Phase::kServing;
  log_event(LogLevel::kInfo, LogEvent::kProcess, "listening on {}, {} worker{}",
            fmt::join(config_.listen, ", "), worker_count_, plural(worker_count_));
  if (predecessor_) {
    const auto answer = ask_control(predecessor_.get(), "go");
    const bool is_done = answer && *answer == "ok\n";
    if (is_done) inherit_made(listeners_, peer_of(predecessor_.get()));
    audit({.action = AuditAction::kTakeover,
           .outcome = is_done ? AuditOutcome::kSuccess : AuditOutcome::kUnknown,
           .reason = is_done ? "the predecessor drains" : "the predecessor did not confirm"});
    if (is_done)
      log_event(LogLevel::kInfo, LogEvent::kTakeover, "done; the predecessor drains");
    else
      log_event(LogLevel::kWarn, LogEvent::kTakeover, "the predecessor did not confirm");
    predecessor_.reset();
    open_admin(true);
  }
  open_control();
  tell_ready();
}

// Nobody to take over from is no reason not to start.
void Supervisor::find_predecessor() {
  const std::string name = control_name(config_);
  if (name.empty()) throw std::runtime_error("--takeover needs a control socket; see control");
  auto predecessor = connect_to_control(name);
  if (!predecessor) {
    log_event(LogLevel::kInfo, LogEvent::kTakeover, "nobody to take over from at {}: {}", name,
              predecessor.error().message());
    return;
  }
  auto sockets = receive_sockets(predecessor->get());
  if (!sockets) throw std::runtime_error(fmt::format("takeover: {}", sockets.error()));
  std::move(sockets->begin(), sockets->end(), std::back_inserter(given_));
  predecessor_ = std::move(predecessor).value();
}

void Supervisor::open_control() {
  const std::string name = control_name(config_);
  if (name.empty()) return;
  const std::error_code error = control_.listen(name);
  if (!error) return;
  if (error != control_error_) {
    log_event(LogLevel::kWarn, LogEvent::kControl, "no control socket at {}: {}; trying again",
              name, why_not_listening(error));
  }
  control_error_ = error;
  control_.after(kControlRetryMs, [this] {
    if (phase_ == Phase::kServing) open_control();
  });
}

void Supervisor::make_workers() {
  for (std::uint32_t i = 0; i < worker_count_; ++i) {
    WorkerOptions options;
    options.index = i;
    options.snapshot = snapshot_;
    options.nodes = nodes_;
    options.board = &board_;
    options.failed_places = &failed_places_;
    options.fronts = fronts_;
    options.client_handshakes = &client_handshakes_;
    options.node_handshakes = &node_handshakes_;
    options.checker = &checker_;
    options.audit = &audit_queue_;
    options.asker = asker_.get();
    options.started_s = started_s_;
    workers_.push_back(std::make_unique<Worker>(std::move(options)));
  }
}

void Supervisor::run_workers() {
  for (std::uint32_t i = 0; i < worker_count_; ++i) workers_[i]->listen(listeners_.of_worker[i]);
  for (const auto& worker : workers_) {
    ++running_;
    threads_.emplace_back([this, &worker] {
      worker->run();
      control_.post([this] {
        if (--running_ == 0) control_.end();
      });
    });
  }
}

// Clients are served until they leave, or the time is over.
void Supervisor::drain(std::optional<pid_t> successor) {
  if (phase_ == Phase::kDraining) return;
  if (phase_ == Phase::kStarting) return control_.end();
  phase_ = Phase::kDraining;
  log_event(LogLevel::kInfo, LogEvent::kProcess, "{}draining for up to {}",
            successor ? "taken over; " : "", duration_text(config_.drain_timeout_ms * 1000));
  audit({.action = AuditAction::kDrain, .reason = successor ? "taken over" : "told to stop"});
  tell_stopping(successor);
  give_reload_up();
  remove_socket_files();
  if (successor) give_admin_up();
  tell_admin();
  for (const auto& worker : workers_) worker->drain();
  control_.after(kCloseListenersMs, [this] { listeners_.sockets.clear(); });
  control_.after(config_.drain_timeout_ms, [this] {
    const std::uint64_t left = board_.sum(static_cast<std::size_t>(Counter::kCurrConnections));
    log_event(LogLevel::kWarn, LogEvent::kProcess, "drain_timeout is over; {} connection{} cut",
              left, left == 1 ? " is" : "s are");
    for (const auto& worker : workers_) worker->finish();
  });
}

// To a successor, who serves from our sockets by now: their files are its own, too.
void Supervisor::give_way(pid_t successor) {
  listeners_.made.clear();
  if (phase_ == Phase::kServing) return drain(successor);
  log_event(LogLevel::kInfo, LogEvent::kProcess, "taken over while draining");
  tell_stopping(successor);
  give_admin_up();
}

// While they are surely ours: once nobody listens, another process may take the place.
void Supervisor::remove_socket_files() {
  if (control_.is_in_takeover()) return;  // They may be the successor's.
  for (const Endpoint& endpoint : listeners_.made) remove_socket_file(endpoint);
  listeners_.made.clear();
}

void Supervisor::stop() {
  if (phase_ == Phase::kStarting) return control_.end();
  remove_socket_files();
  if (std::exchange(phase_, Phase::kDraining) != Phase::kDraining) tell_stopping({});
  give_reload_up();
  for (const auto& worker : workers_) worker->stop();
}

// One that still waits for names: nobody is left to serve by it.
void Supervisor::give_reload_up() {
  if (!pending_) return;
  const Reply reply = std::move(pending_->reply);
  pending_.reset();
  refuse(reply, "this process is ending");
}

void Supervisor::on_signal(int signal) {
  if (signal == SIGHUP) return reload([](const std::string&) {});
  if (signal == SIGUSR1) return reopen_audit();
  if (phase_ != Phase::kDraining) return drain({});
  log_event(LogLevel::kInfo, LogEvent::kProcess, "told to stop a second time");
  stop();
}

void Supervisor::on_second() {
  tell_dropped_lines();
  tell_audit_drops();
  tell_status();
  if (phase_ == Phase::kDraining) remove_socket_files();  // Where a successor gave up.
  const Instant now = read_clock().instant;
  for (const std::string& place : failed_places_.take()) take_change(book_.failed(place, now));
  look_up_names(book_);
}

void Supervisor::on_command(std::string_view command, std::string asker, const Reply& reply) {
  if (command == "reload") return reload(reply);
  if (command == "status") return reply(status());
  if (command.starts_with("revoke ")) return revoke(command.substr(7), std::move(asker), reply);
  if (command == "drain") {
    drain({});
    return reply("ok: draining\n");
  }
  if (command == "stop") {
    reply("ok: stopping\n");
    return stop();
  }
  reply("error: unknown command\n");
}

std::string Supervisor::status() const {
  constexpr std::string_view kPhases[] = {"starting", "serving", "draining"};
  return fmt::format(
      "ok\nversion {}\npid {}\nstate {}\nuptime_s {}\nconfig {}\nlisten {}\nadmin {}\nworkers {}\n"
      "connections {}\nreloads {}\nreloads_failed {}\n",
      TOKENRING_VERSION, ::getpid(), kPhases[static_cast<std::size_t>(phase_)],
      read_clock().unix_time.seconds - started_s_,
      line_.config_file.empty() ? "-" : line_.config_file, fmt::join(config_.listen, " "),
      config_.admin.listen.empty() ? "-" : config_.admin.listen, worker_count_,
      board_.sum(static_cast<std::size_t>(Counter::kCurrConnections)), reloads_, failed_reloads_);
}

}  // namespace tokenring
