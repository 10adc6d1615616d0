// `listen`: addresses, and what holds for the clients that come to each.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "app/address.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kListenMax = 64;

// One entry while it is read.
struct ListenDraft {
  std::optional<std::string> address;
  Position address_at;
  ListenOptions options;
  Position identify_at;
  Position tls_at;
  Position mode_at;
};

void read_address(const Value& value, ListenDraft& draft) {
  draft.address_at = value.position();
  draft.address = value.text(kListenForm);
  if (!draft.address) return;
  if (const auto address = parse_listen_address(*draft.address); !address) {
    value.fail(address.error());
    draft.address.reset();
  }
}

constexpr std::array kListenRows{
    Row<ListenDraft>{"address", read_address},
    Row<ListenDraft>{"identify",
                     [](const Value& value, ListenDraft& draft) {
                       draft.identify_at = value.position();
                       take(value.boolean(), draft.options.identify);
                     }},
    Row<ListenDraft>{"tls",
                     [](const Value& value, ListenDraft& draft) {
                       draft.tls_at = value.position();
                       take(value.text(), draft.options.tls);
                     }},
    Row<ListenDraft>{"mode",
                     [](const Value& value, ListenDraft& draft) {
                       draft.mode_at = value.position();
                       draft.options.mode = read_mode(value);
                     }},
};

}  // namespace

std::optional<std::uint32_t> read_mode(const Value& value) {
  constexpr std::uint32_t kMax = 0777;
  const std::optional<std::string> text = value.text("a mode such as \"0660\"");
  if (!text) return std::nullopt;
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), mode, 8);
  if (error == std::errc() && end == text->data() + text->size() && mode <= kMax) return mode;
  value.fail(
      fmt::format("{} is no mode of a file; give octal digits such as \"0660\"", quoted(*text)));
  return std::nullopt;
}

void read_listen(const Value& value, Draft& draft) {
  std::vector<std::string>& listen = draft.config.listen;
  listen.clear();
  for (const Value& element : value.elements(kListenForm)) {
    ListenDraft entry;
    if (!element.is_table()) {
      read_address(element, entry);
    } else {
      read_table(element, kListenRows, entry);
      if (entry.address_at == Position{})
        element.fail(
            fmt::format("has no address; give address = {}", quoted(Config().listen.front())));
    }
    if (!entry.options.tls.empty())
      draft.tls_uses.push_back({.key = element.key() + ".tls",
                                .at = entry.tls_at,
                                .name = entry.options.tls,
                                .is_server = true});
    if (entry.options.identify && draft.identify_at == Position{}) {
      draft.identify_at = entry.identify_at;
      draft.identify_key = element.key() + ".identify";
    }
    if (!entry.address) continue;
    if (entry.options.mode && !entry.address->starts_with("unix:"))
      element.errors().add(entry.mode_at, element.key() + ".mode", kModeIsForUnix);
    if (std::find(listen.begin(), listen.end(), *entry.address) != listen.end()) {
      element.fail(
          fmt::format("{} stands here twice; give each address once", quoted(*entry.address)));
    } else if (listen.size() == kListenMax) {
      element.fail(fmt::format("is one too many; give at most {} addresses", kListenMax));
    } else {
      listen.push_back(*entry.address);
      if (entry.options != ListenOptions())
        draft.config.listen_options[*entry.address] = entry.options;
    }
  }
}

void append_listen_keys(std::vector<std::string>& keys) {
  append_keys("listen[].", kListenRows, keys);
}

}  // namespace tokenring
