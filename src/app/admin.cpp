#include "app/admin.hpp"

#include <fmt/format.h>

#include "io/clock.hpp"
#include "seal/secret.hpp"

namespace tokenring {

Admin::Admin(const CounterBoard& board, std::int64_t started_s)
    : board_(board),
      started_s_(started_s),
      http_([this](const HttpRequest& request) { return serve(request); }),
      port_([this](std::string_view received, bool is_full) {
        return http_.answer(received, is_full);
      }) {}

void Admin::tell(ProcessState state, std::string token) {
  port_.post([this, state = std::move(state), token = std::move(token)]() mutable {
    state_ = std::move(state);
    token_ = std::move(token);
  });
}

// The two probes ask for no token, as what asks for them often cannot show one; then they do not
// say why, for that names a pool.
HttpAnswer Admin::serve(const HttpRequest& request) const {
  const bool may_know = token_.empty() || is_same_secret(request.bearer, token_);
  if (request.path == "/healthz") return {.body = "ok\n"};
  if (request.path == "/readyz") {
    const std::string reason = state_.snapshot ? unready_reason(state_) : "starting";
    if (reason.empty()) return {.body = "ready\n"};
    return {.status = 503, .body = may_know ? reason + "\n" : "not ready\n"};
  }
  if (!may_know) return {.status = 401, .body = "needs the token of admin.token_file\n"};
  if (request.path != "/metrics" || !state_.snapshot)
    return {.status = 404, .body = "there are /metrics, /healthz and /readyz\n"};
  return {.body = metrics_text({.state = state_,
                                .board = board_,
                                .usage = process_usage(),
                                .started_s = started_s_,
                                .now_s = read_clock().unix_time.seconds}),
          .type = std::string(Exposition::kContentType)};
}

}  // namespace tokenring
