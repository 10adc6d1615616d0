#include "app/audit_line.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/metrics.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSchema = "8.11";  // Of ECS: the version whose fields these are.
constexpr std::size_t kTextBytesMax = 512;    // Of one field; then it is cut.

struct ActionRow {
  std::string_view action;
  std::string_view category;
  std::string_view type;
};

constexpr std::array kActionRows{
#define X(enumerator, action, category, type) ActionRow{action, category, type},
    TOKENRING_AUDIT_ACTIONS(X)
#undef X
};

constexpr std::string_view name_of(AuditOutcome outcome) noexcept {
  switch (outcome) {
    case AuditOutcome::kSuccess:
      return "success";
    case AuditOutcome::kFailure:
      return "failure";
    case AuditOutcome::kUnknown:
      break;
  }
  return "unknown";
}

std::string time_text(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, ms % 1000);
}

std::string cut(std::string_view text) {
  return std::string(text.substr(0, kTextBytesMax));
}

// "10.0.0.1:40312", "[::1]:40312", or what is no address of the internet. By what it asked, if it
// is no client, stands before: "admin, 10.0.0.1:40312".
void add_peer(std::string peer, Json& line) {
  if (const std::size_t comma = peer.rfind(", "); comma != std::string::npos) {
    line["tokenring.via"] = cut(peer.substr(0, comma));
    peer.erase(0, comma + 2);
  }
  line["source.address"] = peer;
  const std::size_t colon = peer.rfind(':');
  if (colon == std::string::npos) return;
  std::uint16_t port = 0;
  const char* const end = peer.data() + peer.size();
  const auto read = std::from_chars(peer.data() + colon + 1, end, port);
  if (read.ec != std::errc() || read.ptr != end) return;
  const bool has_brackets = peer.starts_with('[') && colon >= 2;
  line["source.ip"] = has_brackets ? peer.substr(1, colon - 2) : peer.substr(0, colon);
  line["source.port"] = port;
}

Json words_of(std::string_view text) {
  Json words = Json::array();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

}  // namespace

bool is_trouble(const AuditEvent& event) noexcept {
  return !event.is_sampled && event.outcome == AuditOutcome::kFailure &&
         event.action < AuditAction::kNodeUp;
}

// Without the client's port, so that what happens again and again is one text.
std::string trouble_text(const AuditBatch& batch, const AuditEvent& event) {
  std::vector<std::string> about;
  if (!event.command.empty()) about.emplace_back(event.command);
  if (batch.names != nullptr && event.space < batch.names->spaces.size())
    about.push_back(fmt::format("namespace \"{}\"", batch.names->spaces[event.space]));
  if (event.has_reference)
    about.push_back(fmt::format("key reference {}",
                                std::string_view(event.reference.data(), event.reference.size())));
  if (!event.identity.empty()) about.push_back(fmt::format("identity {}", cut(event.identity)));
  if (!event.peer.empty()) about.push_back(cut(event.peer.substr(0, event.peer.rfind(':'))));
  const std::string_view why = event.detail.empty() ? event.reason : event.detail;
  return fmt::format("{}: {} ({})", kActionRows[static_cast<std::size_t>(event.action)].action, why,
                     fmt::join(about, ", "));
}

std::string audit_line(const AuditBatch& batch, const AuditEvent& event,
                       const AuditExtras& extras) {
  const ActionRow& row = kActionRows[static_cast<std::size_t>(event.action)];
  const bool is_alert = event.action == AuditAction::kEnumeration;
  Json line{
      {"@timestamp", time_text(batch.at_ms)},       {"ecs.version", kSchema},
      {"event.kind", is_alert ? "alert" : "event"}, {"event.category", Json::array({row.category})},
      {"event.type", Json::array({row.type})},      {"event.action", row.action},
      {"event.outcome", name_of(event.outcome)},    {"event.sequence", extras.number}};
  const bool has_keys = event.action == AuditAction::kKeysLoaded;
  if (has_keys) line["tokenring.key.ids"] = words_of(event.detail);
  if (!event.detail.empty() && !has_keys)
    line["event.reason"] = cut(event.detail);
  else if (!event.reason.empty())
    line["event.reason"] = event.reason;
  if (!event.identity.empty()) line["user.name"] = cut(event.identity);
  if (!event.peer.empty()) add_peer(event.peer, line);
  if (!event.command.empty()) line["tokenring.command"] = event.command;
  if (batch.names != nullptr) {
    if (event.space < batch.names->spaces.size())
      line["tokenring.namespace"] = namespace_label(batch.names->spaces[event.space]);
    if (event.backend < batch.names->nodes.size())
      line["tokenring.node"] = batch.names->nodes[event.backend];
  }
  if (event.has_reference)
    line["tokenring.key.ref"] = std::string(event.reference.data(), event.reference.size());
  if (batch.worker != AuditBatch::kNoWorker) line["tokenring.worker"] = batch.worker;
  if (is_alert) {
    line["tokenring.count"] = extras.count;
    line["tokenring.usual"] = extras.usual;
  }
  if (extras.drops.all() > 0) {
    line["tokenring.drops"] = extras.drops.all();
    line["tokenring.drops_sampled"] = extras.drops.sampled;
    line["tokenring.drops_anomaly"] = extras.drops.anomalies;
  }
  line["service.name"] = "tokenring";
  line["service.version"] = TOKENRING_VERSION;
  line["process.pid"] = ::getpid();
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace tokenring
