// The table `admin` of the file.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/address.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr Range kPorts{1, 65535};

// An address, or a port of this host alone.
void read_admin_listen(const Value& value, Draft& draft) {
  draft.admin_listen_at = value.position();
  std::string& listen = draft.config.admin.listen;
  if (!value.is_text()) {
    if (const auto port = value.integer(kPorts)) listen = fmt::format("127.0.0.1:{}", *port);
    return;
  }
  std::string text = value.text().value_or("");
  if (text.empty()) return listen.clear();
  if (text.find_first_not_of("0123456789") == std::string::npos) text = "127.0.0.1:" + text;
  if (const auto address = parse_listen_address(text); !address)
    value.fail(address.error());
  else
    listen = text;
}

constexpr std::array kAdminRows{
    Row<Draft>{"listen", read_admin_listen},
    Row<Draft>{"token_file",
               [](const Value& value, Draft& draft) {
                 draft.token_file_at = value.position();
                 take(value.text("the path of a file with a token"), draft.config.admin.token_file);
               }},
    Row<Draft>{"tls",
               [](const Value& value, Draft& draft) {
                 take(value.text(), draft.config.admin.tls);
                 if (draft.config.admin.tls.empty()) return;
                 draft.tls_uses.push_back({.key = "admin.tls",
                                           .at = value.position(),
                                           .name = draft.config.admin.tls,
                                           .is_server = true});
               }},
    Row<Draft>{"mode",
               [](const Value& value, Draft& draft) {
                 draft.admin_mode_at = value.position();
                 draft.config.admin.mode = read_mode(value);
               }},
};

}  // namespace

void read_admin(const Value& value, Draft& draft) {
  read_table(value, kAdminRows, draft);
}

void append_admin_keys(std::vector<std::string>& keys) {
  append_keys("admin.", kAdminRows, keys);
}

void check_admin(const Draft& draft, Errors& errors) {
  const AdminConfig& admin = draft.config.admin;
  const std::vector<std::string>& listen = draft.config.listen;
  const auto add = [&](std::string_view message) {
    errors.add(draft.admin_listen_at, "admin.listen", message);
  };
  if (admin.mode && !admin.listen.starts_with("unix:"))
    errors.add(draft.admin_mode_at, "admin.mode", kModeIsForUnix);
  if (admin.listen.empty()) {
    if (!admin.token_file.empty() && draft.admin_listen_at == Position{})
      errors.add(draft.token_file_at, "admin.token_file", "has no effect without listen");
    return;
  }
  if (std::find(listen.begin(), listen.end(), admin.listen) != listen.end())
    add(fmt::format("{} is where clients connect; give another address", quoted(admin.listen)));
  const auto address = parse_listen_address(admin.listen);
  const auto tls = std::find_if(draft.tls.begin(), draft.tls.end(),
                                [&](const TlsDraft& one) { return one.tls.name == admin.tls; });
  const bool knows_clients =
      tls != draft.tls.end() && tls->tls.client_certificates == ClientCertificates::kRequired;
  if (address && !is_local(*address) && admin.token_file.empty() && !knows_clients)
    add(fmt::format(
        "{} is open to other hosts, so it needs a token; give token_file = \"PATH\", or "
        "an address such as \"127.0.0.1:9150\"",
        quoted(admin.listen)));
}

}  // namespace tokenring
