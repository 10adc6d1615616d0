// [introspection.NAME]: who is asked of tokens that are not there; its keys, and which namespaces
// may name it.

#include <fmt/format.h>

#include "app/address.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr Range kTimeoutMs{10, 60'000};
constexpr Range kConcurrent{1, 1024};
constexpr Range kFailures{1, 1000};
constexpr Range kPauseMs{100, 600'000};
constexpr std::size_t kEndpointsMax = 64;
constexpr std::size_t kTextBytesMax = 2048;
// What a negative answer may live where the file does not say so.
constexpr std::int64_t kNegativeTtlS = 5;

constexpr std::string_view kUrlForm = "a URL such as \"https://auth.example.com/introspect\"";

// Whether tokens and secrets may go there as they are: they do not leave this host.
bool is_this_host(std::string_view host) {
  return host == "localhost" || host == "[::1]" ||
         is_local(Address{.host = std::string(host), .path = {}});
}

// Of "HOST[:PORT][/PATH...]"; a HOST in brackets with them.
std::string_view host_of(std::string_view text) {
  const std::size_t from = text.starts_with('[') ? text.find(']') : 0;
  if (from == std::string_view::npos) return {};
  return text.substr(0, text.find_first_of("/?#:", from));
}

void read_url(const Value& value, IntrospectionDraft& draft) {
  draft.url_at = value.position();
  const std::optional<std::string> url = value.text(kUrlForm);
  if (!url) return;
  const std::string_view text = *url;
  const bool is_open = text.starts_with("http://");
  const std::size_t from = is_open ? 7 : 8;
  const std::string_view name = host_of(text.substr(std::min(from, text.size())));
  if ((!is_open && !text.starts_with("https://")) || name.empty() || !is_printable(text) ||
      text.size() > kTextBytesMax || text.find('#') != std::string_view::npos)
    return value.fail(fmt::format("{} is none; give {}", quoted(text), kUrlForm));
  if (text.find('@') < text.find('/', from))
    return value.fail("has a user in it; give client_id and client_secret_file");
  if (is_open && !is_this_host(name))
    return value.fail("would send tokens and secrets in plain text to another host; give https://");
  draft.endpoint.rules.url = *url;
}

// A text that goes to the endpoint, or a path.
void take_line(const Value& value, std::string_view what, std::string& to) {
  const std::optional<std::string> text = value.text(what);
  if (!text) return;
  const bool is_line = std::none_of(text->begin(), text->end(),
                                    [](char c) { return (c >= '\0' && c < ' ') || c == '\x7F'; });
  if (text->empty() || text->size() > kTextBytesMax || !is_line)
    return value.fail(fmt::format("{} is none; give {}", quoted(*text), what));
  to = *text;
}

constexpr std::array kRows{
    Row<IntrospectionDraft>{"url", read_url},
    Row<IntrospectionDraft>{"client_id",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.client_id_at = value.position();
                              take_line(value, "the name of this proxy at the endpoint",
                                        draft.endpoint.rules.client_id);
                            }},
    Row<IntrospectionDraft>{"client_secret_file",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.secret_at = value.position();
                              take_line(value, "the path of a file with the client's secret",
                                        draft.endpoint.client_secret_file);
                            }},
    Row<IntrospectionDraft>{"bearer_file",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.bearer_at = value.position();
                              take_line(value, "the path of a file with a bearer token",
                                        draft.endpoint.bearer_file);
                            }},
    Row<IntrospectionDraft>{"ca",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.ca_at = value.position();
                              take_line(value, "the path of a file with certificates (PEM)",
                                        draft.endpoint.ca);
                            }},
    Row<IntrospectionDraft>{"jwks_file",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.jwks_at = value.position();
                              take_line(value, "the path of a file with a JWK set",
                                        draft.endpoint.jwks_file);
                            }},
    Row<IntrospectionDraft>{"issuer",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.issuer_at = value.position();
                              take_line(value, "who answers, as iss has it", draft.endpoint.issuer);
                            }},
    Row<IntrospectionDraft>{"audience",
                            [](const Value& value, IntrospectionDraft& draft) {
                              draft.audience_at = value.position();
                              take_line(value, "whom answers are for, as aud has it",
                                        draft.endpoint.audience);
                            }},
    Row<IntrospectionDraft>{"timeout",
                            [](const Value& value, IntrospectionDraft& draft) {
                              take(value.duration(TimeUnit::kMillisecond, kTimeoutMs),
                                   draft.endpoint.rules.timeout_ms);
                            }},
    Row<IntrospectionDraft>{"concurrent_max",
                            [](const Value& value, IntrospectionDraft& draft) {
                              take(value.integer(kConcurrent), draft.endpoint.rules.concurrent_max);
                            }},
    Row<IntrospectionDraft>{"breaker_failures",
                            [](const Value& value, IntrospectionDraft& draft) {
                              take(value.integer(kFailures), draft.endpoint.rules.breaker_failures);
                            }},
    Row<IntrospectionDraft>{"breaker_pause",
                            [](const Value& value, IntrospectionDraft& draft) {
                              take(value.duration(TimeUnit::kMillisecond, kPauseMs),
                                   draft.endpoint.rules.breaker_pause_ms);
                            }},
};

void check_endpoint(const IntrospectionDraft& draft, Errors& errors) {
  const auto add = [&](Position at, std::string_view key, std::string_view message) {
    errors.add(at, fmt::format("{}.{}", draft.key, key), message);
  };
  if (draft.url_at == Position{})
    errors.add(draft.at, draft.key, fmt::format("has no url; give {}", kUrlForm));
  const bool has_id = draft.client_id_at != Position{};
  const bool has_bearer = draft.bearer_at != Position{};
  if (has_id == has_bearer)
    errors.add(draft.at, draft.key,
               "needs one way to say who asks; give client_id and client_secret_file, or "
               "bearer_file");
  if (has_id && draft.secret_at == Position{})
    add(draft.client_id_at, "client_id", "needs a secret; give client_secret_file");
  if (has_bearer && draft.secret_at != Position{})
    add(draft.secret_at, "client_secret_file", "has no effect beside bearer_file");
  const bool has_keys = draft.jwks_at != Position{};
  if (has_keys && draft.issuer_at == Position{})
    add(draft.jwks_at, "jwks_file", "needs to know who signs; give issuer");
  if (has_keys && !has_id && draft.audience_at == Position{})
    add(draft.jwks_at, "jwks_file", "needs to know whom answers are for; give audience");
  if (!has_keys && draft.issuer_at != Position{})
    add(draft.issuer_at, "issuer", "has no effect without jwks_file");
  if (!has_keys && draft.audience_at != Position{})
    add(draft.audience_at, "audience", "has no effect without jwks_file");
}

void check_fill(NamespaceDraft& draft, const Draft& all, Errors& errors) {
  NamespaceConfig& space = draft.space;
  const auto add = [&](std::string_view message) {
    errors.add(draft.fill_at, draft.key + ".fill", message);
  };
  const bool is_known = std::any_of(
      all.introspections.begin(), all.introspections.end(),
      [&](const IntrospectionDraft& other) { return other.endpoint.rules.name == space.fill; });
  if (!is_known)
    add(fmt::format("there is no [introspection.{}]; give the name of one", space.fill));
  if (space.seal.mode != SealMode::kRequire) add("needs seal = \"require\"");
  if (space.tokens.one_time || space.tokens.replay_guard)
    add("would make good what was used up; leave it out beside one_time and replay_guard");
  if (space.life.ttl_cap_s == 0)
    add("needs ttl_cap, for how long an answer may be believed; give ttl_cap = \"5m\", or so");
  if (draft.ttl_from_token_at == Position{})
    space.life.token_life = TokenLife::kFollow;
  else if (space.life.token_life == TokenLife::kIgnore)
    return add("needs ttl_from_token, for an answer says when its token ends; leave that out");
  if (draft.negative_ttl_at == Position{}) space.tokens.negative_ttl_s = kNegativeTtlS;
}

}  // namespace

void read_introspection(const Value& value, Draft& draft) {
  for (const Value::Member& member : value.members()) {
    IntrospectionDraft endpoint;
    endpoint.endpoint.rules.name = member.name;
    endpoint.key = member.value.key();
    endpoint.at = member.value.position();
    check_table_name(member);
    read_table(member.value, kRows, endpoint);
    draft.introspections.push_back(std::move(endpoint));
  }
  if (draft.introspections.size() > kEndpointsMax)
    value.errors().add(draft.introspections[kEndpointsMax].at,
                       draft.introspections[kEndpointsMax].key,
                       fmt::format("is one too many; give at most {}", kEndpointsMax));
}

void append_introspection_keys(std::vector<std::string>& keys) {
  append_keys("introspection.NAME.", kRows, keys);
}

void check_introspection(Draft& draft, Errors& errors) {
  for (const IntrospectionDraft& endpoint : draft.introspections) check_endpoint(endpoint, errors);
  for (NamespaceDraft& space : draft.namespaces)
    if (!space.space.fill.empty()) check_fill(space, draft, errors);
}

}  // namespace tokenring
