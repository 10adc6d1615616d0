// [[namespaces]]: its keys.

#include <fmt/format.h>

#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr Range kSkewS{0, 3600};
constexpr Range kGuardS{0, 3600};
constexpr Range kHerdWaitMs{0, 10'000};
constexpr Range kNearBytes{std::int64_t{64} << 10, std::int64_t{64} << 30};
constexpr Range kNearTtlMs{1, 60'000};
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

template <typename T, std::size_t N>
void take_named(const Value& value, const std::array<std::string_view, N>& words,
                const std::array<T, N>& meanings, T& to) {
  const auto named = [&](std::string_view word) -> std::optional<T> {
    for (std::size_t i = 0; i < N; ++i)
      if (word == words[i]) return meanings[i];
    return std::nullopt;
  };
  take_word(value, words, named, to);
}

void read_seal(const Value& value, NamespaceDraft& draft) {
  draft.seal_at = value.position();
  constexpr std::array<std::string_view, 3> kWords{"off", "migrate", "require"};
  constexpr std::array kMeanings{SealMode::kOff, SealMode::kMigrate, SealMode::kRequire};
  take_named(value, kWords, kMeanings, draft.space.seal.mode);
}

void read_seal_until(const Value& value, NamespaceDraft& draft) {
  draft.seal_until_at = value.position();
  draft.space.seal.migrate_until = {value.moment().value_or(0)};
}

void read_ttl_from_token(const Value& value, NamespaceDraft& draft) {
  draft.ttl_from_token_at = value.position();
  constexpr std::string_view kWanted = "true, false or \"strict\"";
  if (value.is_text()) {
    const std::string word = value.text().value_or("");
    if (word != "strict") value.fail(fmt::format("{} is unknown; give {}", quoted(word), kWanted));
    draft.space.life.token_life = TokenLife::kStrict;
    return;
  }
  bool follows = false;
  take(value.boolean(kWanted), follows);
  draft.space.life.token_life = follows ? TokenLife::kFollow : TokenLife::kIgnore;
}

void read_revocable(const Value& value, NamespaceDraft& draft) {
  draft.revocable_at = value.position();
  constexpr std::string_view kWanted = "true, false or \"not_before\"";
  if (value.is_text()) {
    const std::string word = value.text().value_or("");
    if (word != "not_before")
      value.fail(fmt::format("{} is unknown; give {}", quoted(word), kWanted));
    draft.space.tokens.revocation = Revocation::kNotBefore;
    return;
  }
  bool revokes = false;
  take(value.boolean(kWanted), revokes);
  draft.space.tokens.revocation = revokes ? Revocation::kGeneration : Revocation::kNone;
}

void read_dictionary(const Value& value, NamespaceDraft& draft) {
  draft.dictionary_at = value.position();
  take(value.text("the path of a file that `tokenring train-dictionary` made"),
       draft.space.dictionary);
}

constexpr std::array kNearRows{
    Row<NamespaceDraft>{"bytes",
                        [](const Value& value, NamespaceDraft& draft) {
                          take(value.bytes(kNearBytes), draft.space.near_bytes);
                        }},
    Row<NamespaceDraft>{"ttl",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.near_ttl_at = value.position();
                          take(value.duration(TimeUnit::kMillisecond, kNearTtlMs),
                               draft.space.near_ttl_ms);
                        }},
};

void read_near(const Value& value, NamespaceDraft& draft) {
  draft.near_at = value.position();
  if (!value.is_table())
    return value.fail("is no table; give { bytes = \"16MiB\", ttl = \"500ms\" }, or so");
  read_table(value, kNearRows, draft);
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
    Row<NamespaceDraft>{"max_age",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.max_age_at = value.position();
                          take(value.duration(TimeUnit::kSecond, kLifeS),
                               draft.space.life.max_age_s);
                        }},
    Row<NamespaceDraft>{"ttl_from_token", read_ttl_from_token},
    Row<NamespaceDraft>{"skew",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.skew_at = value.position();
                          take(value.duration(TimeUnit::kSecond, kSkewS), draft.space.life.skew_s);
                        }},
    Row<NamespaceDraft>{"seal", read_seal},
    Row<NamespaceDraft>{"seal_until", read_seal_until},
    Row<NamespaceDraft>{"blind_keys",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.blind_keys_at = value.position();
                          take(value.boolean(), draft.space.seal.blind_keys);
                        }},
    Row<NamespaceDraft>{"arithmetic",
                        [](const Value& value, NamespaceDraft& draft) {
                          take(value.boolean(), draft.space.seal.arithmetic);
                        }},
    Row<NamespaceDraft>{"compress",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.compress_at = value.position();
                          take(value.boolean(), draft.space.seal.compress);
                        }},
    Row<NamespaceDraft>{"dictionary", read_dictionary},
    Row<NamespaceDraft>{"revocable", read_revocable},
    Row<NamespaceDraft>{"one_time",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.one_time_at = value.position();
                          take(value.boolean(), draft.space.tokens.one_time);
                        }},
    Row<NamespaceDraft>{"replay_guard",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.replay_guard_at = value.position();
                          take(value.boolean(), draft.space.tokens.replay_guard);
                        }},
    Row<NamespaceDraft>{"fill_guard",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.fill_guard_at = value.position();
                          take(value.duration(TimeUnit::kSecond, kGuardS),
                               draft.space.tokens.fill_guard_s);
                        }},
    Row<NamespaceDraft>{"herd_wait",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.herd_wait_at = value.position();
                          take(value.duration(TimeUnit::kMillisecond, kHerdWaitMs),
                               draft.space.tokens.herd_wait_ms);
                        }},
    Row<NamespaceDraft>{"negative_ttl",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.negative_ttl_at = value.position();
                          take(value.duration(TimeUnit::kSecond, kLifeS),
                               draft.space.tokens.negative_ttl_s);
                        }},
    Row<NamespaceDraft>{"identity",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.identity_at = value.position();
                          take(value.text(), draft.space.identity);
                        }},
    Row<NamespaceDraft>{"fill",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.fill_at = value.position();
                          take(value.text("the NAME of an [introspection.NAME]"), draft.space.fill);
                        }},
    Row<NamespaceDraft>{"coalesce",
                        [](const Value& value, NamespaceDraft& draft) {
                          draft.coalesce_at = value.position();
                          take(value.boolean(), draft.space.coalesce);
                        }},
    Row<NamespaceDraft>{"near", read_near},
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
  append_keys("namespaces[].near.", kNearRows, keys);
}

}  // namespace tokenring
