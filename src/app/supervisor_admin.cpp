// The supervisor's part of the admin port: when it opens, what it is told, and what a reload
// changes of it.
#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "app/supervisor.hpp"
#include "io/clock.hpp"
#include "io/inside.hpp"
#include "io/log.hpp"

namespace tokenring {

namespace {

constexpr std::int64_t kAdminRetryMs = 200;
constexpr std::int64_t kRevokeMs = 5'000;
// By commands, which wait for each other: other commands need a session too.
constexpr std::size_t kRevocationsMax = Control::kSessionsMax - 4;

}  // namespace

// A predecessor lets go of the address when it is taken over; without one nobody is waited for.
void Supervisor::open_admin(bool waits) {
  const std::string& address = config_.admin.listen;
  if (address.empty()) return;
  tell_admin();
  const auto endpoint = resolve(address);
  std::string problem = endpoint ? std::string() : endpoint.error();
  if (endpoint)
    if (const std::error_code error = admin_->listen(*endpoint, config_.admin.mode))
      problem = error.message();
  if (problem.empty()) {
    admin_endpoint_ = *endpoint;
    return log_event(LogLevel::kInfo, LogEvent::kAdmin, "listening on {}", address);
  }
  if (!waits) throw std::runtime_error(fmt::format("admin: {}: {}", address, problem));
  if (admin_tries_++ == 0) {
    log_event(LogLevel::kWarn, LogEvent::kAdmin, "cannot listen on {}: {}; trying again", address,
              problem);
  }
  control_.after(kAdminRetryMs, [this] {
    if (phase_ == Phase::kServing) open_admin(true);
  });
}

// For a successor, who makes a socket file anew.
void Supervisor::give_admin_up() {
  if (!admin_) return;
  admin_->close();
  admin_endpoint_.reset();
}

void Supervisor::tell_admin() {
  if (!admin_) return;
  admin_->set_tls(TlsMaterial::find(material_.tls.servers, config_.admin.tls));
  admin_->tell({.snapshot = snapshot_,
                .audit = &audit_queue_.counts(),
                .draining = phase_ == Phase::kDraining,
                .reloads = reloads_,
                .failed_reloads = failed_reloads_,
                .last_reload_failed = last_reload_failed_,
                .loaded_s = loaded_s_},
               material_.admin_token, material_.revocation);
}

// By a client of our own, whom no rule for clients concerns. In a drain workers end one by one;
// what one that ended has deleted may be deleted again.
std::string Supervisor::delete_keys(const std::vector<std::string>& keys,
                                    const std::string& asker) {
  const std::string requests = requests_for(keys);
  for (const auto& worker : workers_) {
    if (worker->has_ended()) continue;
    const auto answers = ask_worker(*worker, asker, requests, keys.size(), kRevokeMs);
    if (answers) return trouble_in(*answers);
    if (!worker->has_ended()) return answers.error();
  }
  return "this process is ending";
}

// The worker's answer is waited for in another thread, for one after the other: signals and timers
// go on. Replies stay here, for they hold the sessions that ask, which end in the control thread.
void Supervisor::revoke(std::string_view key, std::string asker, const Reply& reply) {
  if (phase_ == Phase::kStarting) return reply("error: not serving yet\n");
  std::vector<std::string> keys = keys_of_group(key, *snapshot_);
  if (keys.empty())
    return reply("error: this is not the key of a group, PREFIX{NAME}, in a revocable namespace\n");
  if (revocations_.size() == kRevocationsMax)
    return reply("error: too many revocations are under way\n");
  revocations_.push_back(
      {.keys = std::move(keys), .asker = "control, " + std::move(asker), .reply = reply});
  if (revocations_.size() == 1) begin_revocation();
}

void Supervisor::begin_revocation() {
  const Revocation& first = revocations_.front();  // Stays where it is until it ends.
  try {
    revoking_ = std::thread([this, &first] {
      control_.post([this, trouble = delete_keys(first.keys, first.asker)] {
        revoking_.join();
        end_revocation(trouble);
      });
    });
  } catch (const std::system_error& error) {
    control_.post([this, why = error.code().message()] { end_revocation(why); });
  }
}

void Supervisor::end_revocation(const std::string& trouble) {
  revocations_.front().reply(trouble.empty() ? "ok: revoked\n"
                                             : "error: not revoked: " + trouble + "\n");
  revocations_.pop_front();
  if (!revocations_.empty()) begin_revocation();
}

}  // namespace tokenring
