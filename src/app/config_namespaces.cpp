// [[namespaces]]: its keys.

#include <fmt/format.h>

#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr Range kLifeS{0, std::int64_t{3650} * 24 * 3600};
// A node's key has 250 bytes; this leaves room for what may stand for the rest of a client's key.
constexpr std::size_t kPrefixBytesMax = 128;

void read_prefix(const Value& value, NamespaceDraft& draft) {
  draft.prefix_at = value.position();
  const std::optional<std::string> prefix = value.text();
  if (!prefix) return;
  const auto in_no_key = [](char c) { return (c >= '\0' && c <= ' ') || c == '\x7F'; };
  if (std::any_of(prefix->begin(), prefix->end(), in_no_key)) {
    value.fail(
        fmt::format("{} has a space or control character, which keys cannot have; give the "
                    "bytes that its keys begin with",
                    quoted(*prefix)));
  } else if (prefix->size() > kPrefixBytesMax) {
    value.fail(fmt::format("is too long; give at most {} bytes", kPrefixBytesMax));
  }
  draft.space.prefix = *prefix;
}

void read_pool_name(const Value& value, NamespaceDraft& draft) {
  draft.pool_at = value.position();
  take(value.text(), draft.space.pool);
}

constexpr std::array kNamespaceRows{
    Row<NamespaceDraft>{"prefix", read_prefix},
    Row<NamespaceDraft>{"pool", read_pool_name},
    Row<NamespaceDraft>{"ttl_cap",
                        [](const Value& value, NamespaceDraft& draft) {
                          take(value.duration(TimeUnit::kSecond, kLifeS),
                               draft.space.life.ttl_cap_s);
                        }},
    Row<NamespaceDraft>{"ttl_default",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.ttl_default_at = value.position();
                          take(value.duration(TimeUnit::kSecond, kLifeS),
                               draft.space.life.ttl_default_s);
                        }},
    Row<NamespaceDraft>{"ttl_jitter",
                        [](const Value& value, NamespaceDraft& draft) {
                          take(value.number(0, 1), draft.space.life.ttl_jitter);
                        }},
    Row<NamespaceDraft>{"coalesce",
                        [](const Value& value, NamespaceDraft& draft) {
                          take(value.boolean(), draft.space.coalesce);
                        }},
    Row<NamespaceDraft>{"flush_all",
                        [](const Value& value, NamespaceDraft& draft) {
                          take(value.boolean(), draft.space.flush_all);
                        }},
};

}  // namespace

void read_namespaces(const Value& value, Draft& draft) {
  if (value.is_table()) {
    value.fail("is a table; give a list of them, each under [[namespaces]]");
    return;
  }
  for (const Value& element : value.elements("at least one table, or leave it out")) {
    NamespaceDraft space;
    space.key = element.key();
    space.at = element.position();
    read_table(element, kNamespaceRows, space);
    draft.namespaces.push_back(std::move(space));
  }
  constexpr std::size_t kMax = NamespaceTable::kNamespacesMax - 1;  // A default may be added.
  if (draft.namespaces.size() > kMax) {
    value.errors().add(draft.namespaces[kMax].at, draft.namespaces[kMax].key,
                       fmt::format("is one too many; give at most {} namespaces", kMax));
  }
}

void append_namespace_keys(std::vector<std::string>& keys) {
  append_keys("namespaces[].", kNamespaceRows, keys);
}

}  // namespace tokenring
