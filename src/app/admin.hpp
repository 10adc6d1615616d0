// Admin: the port for operators and their programs. /metrics, /healthz, /readyz, and a page with
// its data, by GET and HEAD.
//
// It runs in a thread of its own (io/port.hpp), which reads what workers count and is told of the
// rest by the control thread. Whatever happens there, clients of the proxy do not notice.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>

#include "app/http.hpp"
#include "app/metrics.hpp"
#include "app/revocation.hpp"
#include "app/status_json.hpp"
#include "io/port.hpp"

namespace tokenring {

class Admin {
 public:
  // Deletes keys of groups; what went wrong, empty if nothing. It may take seconds. `asker`: for
  // the audit log.
  using Delete =
      std::function<std::string(const std::vector<std::string>& keys, std::string asker)>;
  // Takes what the audit log is to have, if it is on. Called in the port's thread.
  using Audit = std::function<void(AuditEvent event)>;

  // `board` must outlive it.
  Admin(const CounterBoard& board, std::int64_t started_s, Delete remove, Audit audit);

  // Once, and again after it failed.
  [[nodiscard]] std::error_code listen(const Endpoint& endpoint, std::optional<mode_t> mode) {
    return port_.listen(endpoint, mode);
  }
  // From the control thread; holds for requests from now on. `token`: empty: none is asked for.
  void tell(ProcessState state, std::string token,
            std::shared_ptr<const SignedRevocation> revocation);
  // Null: plain HTTP.
  void set_tls(std::shared_ptr<const TlsContext> tls) { port_.set_tls(std::move(tls)); }
  // Frees the address, for a successor.
  void close() { port_.close(); }

 private:
  [[nodiscard]] HttpAnswer serve(const HttpRequest& request);
  [[nodiscard]] HttpAnswer serve_data(const HttpRequest& request);
  [[nodiscard]] HttpAnswer serve_post(const HttpRequest& request, bool may_know);
  [[nodiscard]] HttpAnswer serve_logout(const HttpRequest& request);
  // What may be posted, for who asks for anything else.
  [[nodiscard]] std::string posts() const;
  [[nodiscard]] HttpAnswer delete_all(const std::vector<std::string>& keys, std::string_view via);
  [[nodiscard]] HttpAnswer ask_for_token(std::string_view command);
  [[nodiscard]] std::string asker(std::string_view via) const;
  void tell_refused(AuditAction action, std::string_view command, std::string why);
  [[nodiscard]] MetricsSource source() const;

  const CounterBoard& board_;
  std::int64_t started_s_;
  Delete delete_;
  Audit audit_;
  ProcessState state_;  // These four are the port's thread's.
  std::string token_;
  std::shared_ptr<const SignedRevocation> revocation_;  // Null: nobody's tokens revoke.
  Port::Caller caller_;                                 // Who asks at present.
  RingShares shares_;
  Http http_;
  Port port_;  // Last: its thread uses all of the above.
};

}  // namespace tokenring
