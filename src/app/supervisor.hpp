// Supervisor: the process beside its workers. Starts them, gives them new snapshots when the file
// or a name changes, hands the listening sockets to a successor, and ends the workers.
//
// All of it runs in the control thread. run() owns everything and joins the workers' threads.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/admin.hpp"
#include "app/audit.hpp"
#include "app/command_line.hpp"
#include "app/config.hpp"
#include "app/listeners.hpp"
#include "app/material.hpp"
#include "app/names.hpp"
#include "io/asker.hpp"
#include "io/control.hpp"
#include "io/handshaker.hpp"
#include "io/login_checker.hpp"
#include "io/notify.hpp"
#include "io/resolver.hpp"
#include "io/worker.hpp"

namespace tokenring {

class Supervisor {
 public:
  // At start and at a reload names are waited for so long; those that come later are taken then.
  static constexpr std::int64_t kNamesWaitMs = 2'000;

  Supervisor(CommandLine line, Config config);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Returns when the last worker has ended. Throws std::exception, with a line for the operator,
  // when the process cannot start.
  void run();

 private:
  using Reply = ControlHandlers::Reply;
  using Stores = std::map<std::string, std::shared_ptr<EmbeddedStore>>;  // By pool and node.
  enum class Phase : std::uint8_t { kStarting, kServing, kDraining };

  // A configuration that waits for its names before the workers get it.
  struct Pending {
    Config config;
    NameBook book;
    Material material;
    Fd audit_file;  // Where it is another one than before.
    Reply reply = nullptr;
    std::string kept;  // What cannot change, as a line for the operator; empty: nothing.
    std::uint64_t number = 0;
  };

  // Keys that a command wants deleted.
  struct Revocation {
    std::vector<std::string> keys;
    std::string asker;
    Reply reply;
  };

  // Life (supervisor.cpp).
  void begin();
  void serve();
  void find_predecessor();
  void open_control();
  void make_workers();
  void run_workers();
  // `successor`: the process that took over; 0: one of another pid namespace.
  void drain(std::optional<pid_t> successor);
  void give_way(pid_t successor);
  void stop();
  void give_reload_up();
  void remove_socket_files();
  void on_signal(int signal);
  void on_second();
  void on_command(std::string_view command, std::string asker, const Reply& reply);
  // The admin port (supervisor_admin.cpp).
  void open_admin(bool waits);
  void give_admin_up();
  void tell_admin();
  void revoke(std::string_view key, std::string asker, const Reply& reply);
  void begin_revocation();
  void end_revocation(const std::string& trouble);
  // From any thread but a worker's; empty: done. `asker`: for the audit log.
  [[nodiscard]] std::string delete_keys(const std::vector<std::string>& keys,
                                        const std::string& asker);
  [[nodiscard]] std::string status() const;
  // The audit log (supervisor_audit.cpp).
  void adopt_audit(Fd file);
  void reopen_audit();
  void audit(AuditEvent event);
  void put_audit(AuditEvent event);  // From any thread. REQUIRES: the log is on.
  void audit_keys();
  void tell_audit_drops();
  // The service manager (supervisor_notify.cpp).
  [[nodiscard]] std::string status_line() const;
  void tell_ready();
  void tell_status();
  void tell_reloading();
  void tell_reloaded();
  void tell_stopping(std::optional<pid_t> successor);
  void feed_watchdog();
  [[nodiscard]] std::string warning_of_watchdog() const;

  // Changes (supervisor_reload.cpp).
  void reload(const Reply& reply);
  // What a reload is made of, but for who asked; the error is one line.
  [[nodiscard]] Result<Pending, std::string> read_again();
  void refuse(const Reply& reply, const std::string& error);
  void finish_reload();
  // The line for the operator; empty when nothing else was asked for.
  [[nodiscard]] std::string keep_what_cannot_change(Config& config) const;
  void look_up_names(NameBook& book);
  void on_answer(const std::string& name,
                 const Result<std::vector<std::string>, std::string>& found);
  void take_change(const NameBook::Change& change);
  // Builds a snapshot for the workers; an error if there can be none, and then nothing changed.
  // Workers let go of `taken` as they take it.
  [[nodiscard]] Result<bool, std::string> adopt(const Config& config, const NameBook& book,
                                                const Material& material,
                                                const std::shared_ptr<const void>& taken = {});
  void tell_of_keys() const;
  // Returns what it told the log, a line each.
  std::string tell_warnings() const;
  [[nodiscard]] std::vector<NodeAddress> reach_nodes(const Config& config, const NameBook& book,
                                                     const TlsMaterial& tls,
                                                     const Snapshot& snapshot,
                                                     Stores& stores) const;

  CommandLine line_;
  Notifier notifier_;
  std::string told_status_;
  bool told_reloading_ = false;       // And not yet that it is over.
  std::uint64_t seconds_ = 0;         // Counts on_second().
  std::vector<std::uint64_t> beats_;  // Of each worker, at the last look.
  Config config_;
  std::uint32_t worker_count_;
  Phase phase_ = Phase::kStarting;
  std::int64_t started_s_;
  std::uint64_t reloads_ = 0;
  std::uint64_t failed_reloads_ = 0;
  std::uint64_t pendings_ = 0;  // Numbers them.
  std::optional<Pending> pending_;
  NameBook book_;
  Material material_;
  MaterialPast past_;
  bool last_reload_failed_ = false;
  std::int64_t loaded_s_;
  std::uint64_t admin_tries_ = 0;
  std::optional<Endpoint> admin_endpoint_;  // Where it listens.
  FailedPlaces failed_places_;
  Stores stores_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<const std::vector<NodeAddress>> nodes_;
  std::shared_ptr<const Fronts> fronts_;
  std::error_code control_error_;  // The last that was told.
  Fd predecessor_;
  std::vector<Fd> given_;
  Listeners listeners_;
  CounterBoard board_;
  AuditQueue audit_queue_;
  std::uint64_t told_audit_drops_ = 0;
  std::unique_ptr<AuditLog> audit_;  // Null: it is off.
  std::unique_ptr<Admin> admin_;     // Null: it is off.
  LoginChecker checker_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Handshaker client_handshakes_;  // They post to the workers, and go before them.
  Handshaker node_handshakes_;
  std::unique_ptr<Asker> asker_ =  // Answers workers: goes first.
      std::make_unique<Asker>(&audit_queue_);
  std::vector<std::thread> threads_;
  std::deque<Revocation> revocations_;  // The first is under way.
  std::thread revoking_;                // Waits for a worker, for the first of them.
  std::size_t running_ = 0;
  Control control_;
  Resolver resolver_;  // Last: what it finds is posted to control_.
};

}  // namespace tokenring
