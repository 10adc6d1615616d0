#include "app/admin.hpp"

#include <fmt/format.h>

#include "app/page_files.hpp"
#include "app/status_json.hpp"
#include "io/clock.hpp"
#include "io/log.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kRevoke = "POST /revoke";
constexpr std::string_view kLogout = "POST /logout";
constexpr std::string_view kJson = "application/json";

HttpAnswer refuse(int status, std::string_view code, std::string_view why) {
  return {.status = status, .body = error_json(code, why), .type = std::string(kJson)};
}

// Whether a Host header is a name that nobody else can have lead here: none, this host's, or an IP
// address.
bool is_own_host(std::string_view host) {
  if (host.empty() || host.front() == '[') return true;
  host = host.substr(0, host.rfind(':'));
  return host == "localhost" || host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

Admin::Admin(const CounterBoard& board, std::int64_t started_s, Delete remove, Audit audit)
    : board_(board),
      started_s_(started_s),
      delete_(std::move(remove)),
      audit_(std::move(audit)),
      http_([this](const HttpRequest& request) { return serve(request); }),
      port_([this](std::string_view received, bool is_full, const Port::Caller& caller) {
        caller_ = caller;
        return http_.answer(received, is_full);
      }) {}

void Admin::tell(ProcessState state, std::string token,
                 std::shared_ptr<const SignedRevocation> revocation) {
  port_.post([this, state = std::move(state), token = std::move(token),
              revocation = std::move(revocation)]() mutable {
    state_ = std::move(state);
    token_ = std::move(token);
    revocation_ = std::move(revocation);
  });
}

MetricsSource Admin::source() const {
  return {.state = state_,
          .board = board_,
          .usage = process_usage(),
          .started_s = started_s_,
          .now_s = read_clock().unix_time.seconds};
}

// The two probes ask for no token, as what asks for them often cannot show one; then they do not
// say why, for that names a pool. The page asks for the token itself, and its files have no data.
HttpAnswer Admin::serve(const HttpRequest& request) {
  const bool may_know =
      token_.empty() || caller_.is_known || is_same_secret(request.bearer, token_);
  if (request.is_post) return serve_post(request, may_know);
  if (request.path == "/healthz") return {.body = "ok\n"};
  if (request.path == "/readyz") {
    const std::string reason = state_.snapshot ? unready_reason(state_) : "starting";
    if (reason.empty()) return {.body = "ready\n"};
    return {.status = 503, .body = may_know ? reason + "\n" : "not ready\n"};
  }
  for (const PageFile& file : page_files())
    if (request.path == file.path)
      return {.body = std::string(file.text), .type = std::string(file.type)};
  if (!may_know) return ask_for_token("GET");
  if (request.path == "/metrics" && state_.snapshot)
    return {.body = metrics_text(source()), .type = std::string(Exposition::kContentType)};
  if ((request.path == "/status.json" || request.path == "/where") && state_.snapshot)
    return serve_data(request);
  return {.status = 404,
          .body = fmt::format(
              "there are /, /status.json, /where?key=KEY, /metrics, /healthz and /readyz, and {}\n",
              posts())};
}

std::string Admin::posts() const {
  return revocation_ == nullptr ? std::string(kRevoke) : fmt::format("{} and {}", kRevoke, kLogout);
}

// What changes something. /revoke is for operators and asks for the token; what comes to /logout is
// signed by whom the file names. A site that a browser shows can send neither: what needs no leave
// of ours for its kind is the signed one alone.
HttpAnswer Admin::serve_post(const HttpRequest& request, bool may_know) {
  if (!state_.snapshot) return {.status = 503, .body = "starting\n"};
  if (request.path == "/logout" && revocation_ != nullptr) return serve_logout(request);
  if (request.path != "/revoke")
    return {.status = 404, .body = fmt::format("there is {}\n", posts())};
  if (!may_know) return ask_for_token(kRevoke);
  if (token_.empty() && !is_own_host(request.host)) {
    tell_refused(AuditAction::kRevoke, kRevoke, "asked by another host's name");
    return {.status = 403,
            .body = "without admin.token_file ask by an IP address, or as localhost\n"};
  }
  if (request.type != "application/json")
    return {.status = 400, .body = "give a body of Content-Type: application/json\n"};
  const GroupKeys keys = groups_of_json(request.body, *state_.snapshot);
  if (!keys) return refuse(400, keys.error().code, keys.error().why);
  return delete_all(*keys, "admin");
}

// A logout token's sender is told 200 or 400 (OpenID Connect Back-Channel Logout 1.0, 2.8); that of
// a security event token 202, or 400 and which of RFC 8935's errors it was.
HttpAnswer Admin::serve_logout(const HttpRequest& request) {
  const bool is_event = request.type == "application/secevent+jwt";
  const std::string token =
      is_event ? std::string(request.body) : form_value(request.body, "logout_token");
  const GroupKeys keys =
      groups_of_token(token, *revocation_, *state_.snapshot, read_clock().unix_time);
  if (!keys) {
    const Refusal& refusal = keys.error();
    tell_refused(AuditAction::kRevoke, kLogout, "token " + refusal.why);
    return refuse(400, is_event ? refusal.code : "invalid_request", refusal.why);
  }
  HttpAnswer answer = delete_all(*keys, "issuer " + revocation_->config.issuer);
  if (is_event && answer.status == 200) return {.status = 202};
  return answer;
}

HttpAnswer Admin::delete_all(const std::vector<std::string>& keys, std::string_view via) {
  if (const std::string trouble = delete_(keys, asker(via)); !trouble.empty())
    return refuse(502, "not_revoked", trouble);
  return {.body = fmt::format("{{\"revoked\": {}}}\n", keys.size()), .type = std::string(kJson)};
}

HttpAnswer Admin::ask_for_token(std::string_view command) {
  tell_refused(AuditAction::kLogin, command, "not the admin port's token");
  return {.status = 401, .body = "needs the token of admin.token_file\n"};
}

// As the audit log takes it apart again.
std::string Admin::asker(std::string_view via) const {
  return fmt::format("{}, {}", via, caller_.address);
}

// `command`: of static storage.
void Admin::tell_refused(AuditAction action, std::string_view command, std::string why) {
  if (state_.snapshot == nullptr || state_.snapshot->audit == nullptr) return;
  audit_({.action = action,
          .outcome = AuditOutcome::kFailure,
          .command = command,
          .peer = asker("admin"),
          .detail = std::move(why)});
}

// The page's data. Where no token is asked for, a site that a browser shows may have had its name
// lead here (DNS rebinding), and then is not to read it.
HttpAnswer Admin::serve_data(const HttpRequest& request) {
  if (token_.empty() && !is_own_host(request.host))
    return {.status = 403,
            .body = "without admin.token_file ask by an IP address, or as localhost\n"};
  if (request.path == "/status.json")
    return {
        .body = status_json(source(), shares_.of(state_.snapshot), recent_events(kStatusEventsMax)),
        .type = std::string(kJson)};
  const std::string* const key = request.parameter("key");
  const std::string* const exptime = request.parameter("exptime");
  WhereAnswer answer = where_json(*state_.snapshot, key == nullptr ? "" : *key,
                                  exptime == nullptr ? "" : *exptime, read_clock().unix_time);
  return {.status = answer.is_error ? 400 : 200,
          .body = std::move(answer.json),
          .type = std::string(kJson)};
}

}  // namespace tokenring
