// The supervisor's part of changes: a file read again, and names that lead elsewhere. Both come to
// a new snapshot for the workers.
#include <fmt/format.h>

#include <exception>
#include <new>

#include "app/address.hpp"
#include "app/random_seed.hpp"
#include "app/supervisor.hpp"
#include "io/clock.hpp"
#include "io/log.hpp"

namespace tokenring {

namespace {

StoreOptions store_options(const Config& config) {
  StoreOptions options;
  options.bytes_max = config.embedded_memory_bytes;
  options.item_bytes_max = config.limits.value_bytes_max;
  options.hash_seed = random_seed();
  return options;
}

// What `work` throws, memory that is refused say, is an error of it: no reason for a process that
// serves to end.
template <typename Work>
auto unless_it_throws(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return unexpected(std::string("there is not enough memory for it"));
  } catch (const std::exception& error) {
    return unexpected(std::string(error.what()));
  }
}

}  // namespace

void Supervisor::reload(const Reply& reply) {
  if (phase_ != Phase::kServing) return refuse(reply, "this process is not serving");
  if (pending_) return refuse(reply, "another reload is under way");
  if (line_.config_file.empty()) return refuse(reply, "there is no file to read again");
  tell_reloading();
  auto read = unless_it_throws([this] { return read_again(); });
  if (!read) return refuse(reply, read.error());
  pending_ = *std::move(read);
  pending_->reply = reply;
  pending_->number = ++pendings_;
  look_up_names(pending_->book);
  if (pending_->book.all_answered()) return finish_reload();
  control_.after(kNamesWaitMs, [this, number = pendings_] {
    if (pending_ && pending_->number == number) finish_reload();
  });
}

Result<Supervisor::Pending, std::string> Supervisor::read_again() {
  auto config = effective_config(line_);
  if (!config) return unexpected(config.error());
  std::string kept = keep_what_cannot_change(*config);

  NameBook book = book_;
  book.use(*config, read_clock().instant);
  auto material = read_material(*config, past_);
  if (!material) return unexpected(material.error());
  Fd audit_file;
  if (config->audit.is_on() && config->audit.file != config_.audit.file) {
    auto file = open_audit_file(config->audit);
    if (!file) return unexpected(file.error());
    audit_file = *std::move(file);
  }
  return Pending{.config = *std::move(config),
                 .book = std::move(book),
                 .material = *std::move(material),
                 .audit_file = std::move(audit_file),
                 .kept = std::move(kept)};
}

void Supervisor::refuse(const Reply& reply, const std::string& error) {
  ++failed_reloads_;
  last_reload_failed_ = true;
  tell_admin();
  if (!pending_) tell_reloaded();
  audit({.action = AuditAction::kReload, .outcome = AuditOutcome::kFailure, .detail = error});
  log_event(LogLevel::kError, LogEvent::kReload, "nothing changed: {}", error);
  reply(fmt::format("error: {}\n", error));
}

void Supervisor::finish_reload() {
  Pending pending = std::move(*pending_);
  pending_.reset();
  // Who asked may rely on it: the answer goes out when the last worker has let go of `taken`.
  const auto answer = std::make_shared<std::string>();
  const std::shared_ptr<const void> taken(
      answer.get(), [this, answer, reply = std::move(pending.reply)](const void*) mutable {
        control_.post([this, answer = std::move(answer), reply = std::move(reply)] {
          tell_reloaded();
          reply(*answer);
        });
      });
  const auto told = [&](const std::string& text) { *answer = text; };
  std::unique_ptr<AuditLog> log;  // Begins while nothing has changed yet.
  if (audit_ == nullptr && pending.config.audit.is_on()) {
    auto begun = begin_audit_log(pending.config.audit, audit_queue_, std::move(pending.audit_file));
    if (!begun) return refuse(told, begun.error());
    log = *std::move(begun);
  }
  if (const auto adopted = adopt(pending.config, pending.book, pending.material, taken); !adopted)
    return refuse(told, adopted.error());
  if (log != nullptr) audit_ = std::move(log);
  config_ = std::move(pending.config);
  book_ = std::move(pending.book);
  material_ = std::move(pending.material);
  adopt_audit(std::move(pending.audit_file));
  audit({.action = AuditAction::kReload});
  audit_keys();
  tell_of_keys();
  set_log_level(config_.log_level);
  ++reloads_;
  last_reload_failed_ = false;
  loaded_s_ = read_clock().unix_time.seconds;
  tell_admin();
  const std::string text = summary(config_);
  log_event(LogLevel::kInfo, LogEvent::kReload, "{}", text);
  std::string more = pending.kept;
  if (!more.empty()) {
    log_event(LogLevel::kWarn, LogEvent::kReload, "{}", more);
    more += '\n';
  }
  more += tell_warnings();
  *answer = fmt::format("ok: {}: {}\n{}", line_.config_file, text, more);
}

// What hangs on sockets, threads and memory that are there stays, and the operator is told.
std::string Supervisor::keep_what_cannot_change(Config& config) const {
  std::vector<std::string_view> kept;
  const auto keep = [&kept](std::string_view name, auto& value, const auto& current) {
    if (value == current) return;
    kept.push_back(name);
    value = current;
  };
  if (config.listen != config_.listen || config.listen_options != config_.listen_options) {
    kept.push_back("listen");
    config.listen = config_.listen;
    config.listen_options = config_.listen_options;
  }
  keep("control", config.control, config_.control);
  if (config.admin.listen != config_.admin.listen) {
    // What is right for one address may be too little for another.
    keep("admin.listen", config.admin.listen, config_.admin.listen);
    keep("admin.token_file", config.admin.token_file, config_.admin.token_file);
    keep("admin.tls", config.admin.tls, config_.admin.tls);
  }
  keep("admin.mode", config.admin.mode, config_.admin.mode);
  if (config.workers != 0 || line_.workers) keep("workers", config.workers, config_.workers);
  config.workers = worker_count_;
  if (!stores_.empty()) {
    keep("embedded.memory", config.embedded_memory_bytes, config_.embedded_memory_bytes);
    keep("limits.value_bytes_max", config.limits.value_bytes_max, config_.limits.value_bytes_max);
  }
  if (kept.empty()) return {};
  return fmt::format("{} cannot change while the process runs; kept", fmt::join(kept, ", "));
}

void Supervisor::look_up_names(NameBook& book) {
  for (const std::string& name : book.take_due(read_clock().instant)) resolver_.ask(name);
}

void Supervisor::on_answer(const std::string& name,
                           const Result<std::vector<std::string>, std::string>& found) {
  const Instant now = read_clock().instant;
  NameBook::Change change = book_.answer(name, found, now);
  if (pending_) {
    NameBook::Change coming = pending_->book.answer(name, found, now);
    if (change.line.empty()) change.line = std::move(coming.line);
    change.is_problem |= coming.is_problem;
  }
  take_change(change);
  if (pending_ && pending_->book.all_answered()) finish_reload();
  if (phase_ == Phase::kStarting && book_.all_answered()) serve();
}

void Supervisor::take_change(const NameBook::Change& change) {
  if (!change.line.empty()) {
    log_event(change.is_problem ? LogLevel::kWarn : LogLevel::kInfo, LogEvent::kNames, "{}",
              change.line);
  }
  if (!change.changed || phase_ != Phase::kServing) return;
  if (const auto adopted = adopt(config_, book_, material_); !adopted)
    log_event(LogLevel::kError, LogEvent::kNames, "the nodes stay as they are: {}",
              adopted.error());
}

void Supervisor::tell_of_keys() const {
  if (material_.seal.keyring != nullptr && !material_.seal.keyring->memory_is_locked())
    log_event(LogLevel::kWarn, LogEvent::kProcess,
              "keys are in memory that may be swapped out: raise the limit on locked memory");
}

std::string Supervisor::tell_warnings() const {
  std::string lines;
  std::vector<std::string> told = warnings(config_, material_.users.get(), read_clock().unix_time);
  if (std::string line = warning_of_watchdog(); !line.empty()) told.push_back(std::move(line));
  for (const std::string& warning : told) {
    log_event(LogLevel::kWarn, LogEvent::kProcess, "{}", warning);
    lines += warning + "\n";
  }
  return lines;
}

Result<bool, std::string> Supervisor::adopt(const Config& config, const NameBook& book,
                                            const Material& material,
                                            const std::shared_ptr<const void>& taken) {
  const Tallies* before = snapshot_ == nullptr ? nullptr : snapshot_->tallies.get();
  const AccessMaterial access{.users = material.users,
                              .before = snapshot_ == nullptr ? nullptr : snapshot_->access.get()};
  const auto adopted = unless_it_throws([&]() -> Result<bool, std::string> {
    auto snapshot = make_snapshot(config, book.names(), material.seal, before, &access);
    if (!snapshot) return unexpected(snapshot.error());
    Stores stores;
    auto nodes = std::make_shared<const std::vector<NodeAddress>>(
        reach_nodes(config, book, material.tls, **snapshot, stores));
    auto fronts = std::make_shared<const Fronts>(fronts_of(config, material.tls));
    // Nothing fails from here on.
    snapshot_ = *std::move(snapshot);
    nodes_ = std::move(nodes);
    fronts_ = std::move(fronts);
    stores_ = std::move(stores);
    return true;
  });
  if (!adopted) return adopted;
  client_handshakes_.set_max(config.limits.handshakes_max);
  for (const auto& worker : workers_) worker->adopt(snapshot_, nodes_, fronts_, taken);
  tell_admin();
  return adopted;
}

// Each node's address, by backend. A name that leads nowhere yet has none: to connect fails at
// once. `stores` gets those of embedded nodes: they go on where they are there already.
std::vector<NodeAddress> Supervisor::reach_nodes(const Config& config, const NameBook& book,
                                                 const TlsMaterial& tls, const Snapshot& snapshot,
                                                 Stores& stores) const {
  std::vector<NodeAddress> nodes;
  for (std::size_t p = 0; p < snapshot.pools.size(); ++p) {
    const Pool& pool = snapshot.pools[p];
    for (std::size_t i = 0; i < pool.nodes.size(); ++i) {
      NodeAddress& reached = nodes.emplace_back();
      reached.place = pool.place_of(i);
      if (reached.place == "embedded") {
        const std::string key = fmt::format("{}\n{}", pool.name, pool.nodes[i].name);
        auto& store = stores[key];
        if (const auto known = stores_.find(key); known != stores_.end()) store = known->second;
        if (!store) store = std::make_shared<EmbeddedStore>(store_options(config));
        reached.embedded = store;
        continue;
      }
      if (!pool.tls.empty())
        reached.tls = {.context = TlsMaterial::find(tls.clients, pool.tls),
                       .name = tls_name_of(config, config.pools[p], pool.nodes[i], book.names()),
                       .timeout_ms = pool.options.connect_timeout_ms};
      const auto address = parse_node_address(reached.place);
      if (!address || address->is_name) {
        const std::string problem = book.problem(reached.place);
        reached.problem = "its name cannot be looked up: " +
                          (problem.empty() ? std::string("no answer yet") : problem);
        continue;
      }
      const auto endpoint = resolve(reached.place);
      if (endpoint) {
        reached.endpoint = *endpoint;
        continue;
      }
      reached.problem = endpoint.error();
      log_event(LogLevel::kWarn, LogEvent::kNames, "{}: {}", reached.place, endpoint.error());
    }
  }
  return nodes;
}

}  // namespace tokenring
