#include "app/where.hpp"

#include <fmt/format.h>

#include "app/spelling.hpp"
#include "seal/blind.hpp"
#include "tokenring/request.hpp"

namespace tokenring {

namespace {

std::optional<std::int64_t> life_of(const LifeRules& rules, std::int32_t exptime, UnixTime now) {
  LifeRules steady = rules;
  steady.ttl_jitter = 0;
  const Expiry life = granted_life(steady, Expiry::from_exptime(exptime), now, 0);
  return life.is_never() ? std::nullopt : std::optional(life.remaining_s(now));
}

struct SeenKey {
  std::string key;    // As the node sees it.
  std::string route;  // What the ring is asked for.
};

// The key as a client sends it: without its owner's mark.
std::string_view as_sent(const Namespace& space, std::string_view key) {
  return key.substr(space.mark_bytes);
}

SeenKey seen_key(const Snapshot& snapshot, const Namespace& space, std::string_view whole) {
  if (!space.seal.blind_keys) return {std::string(whole), std::string(whole)};
  const std::string_view key = as_sent(space, whole);
  const std::string_view tag_ends = snapshot.pools[space.pool].ring.hash_tag();
  const std::string_view tagged = hashed_part(key, tag_ends);
  std::string seen(blinded_size_max(space.prefix.size()), '\0');
  const BlindedKey blinded = snapshot.keyring->blinder().blind(
      {.space = space.prefix,
       .key = key,
       .tag = tagged.size() == key.size() ? std::string_view() : tagged},
      tag_ends, seen.data());
  std::string route(blinded.route);
  seen.resize(blinded.size);
  return {std::move(seen), std::move(route)};
}

// What the logs call the key.
std::string reference_of(const Snapshot& snapshot, const Namespace& space, std::string_view whole) {
  if (snapshot.keyring == nullptr) return {};
  const std::string_view key = as_sent(space, whole);
  std::string reference(kAuditCharacters, '\0');
  snapshot.keyring->audit().refer({.space = space.prefix, .key = key}, reference.data());
  return reference;
}

// The line for a key; the reason why it has none.
Result<std::string, std::string> line_for(const Snapshot& snapshot, std::string_view key,
                                          const WhereOptions& options, UnixTime now) {
  const auto place = place_of_key(snapshot, key, options.exptime, now);
  if (!place && key.empty()) return unexpected(place.error());
  if (!place) return unexpected(fmt::format("{}: {}", escaped_key(key), place.error()));
  const std::string& prefix = place->space->prefix;
  const std::string reference = place->reference.empty() ? "-" : place->reference;
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}{}", escaped_key(key),
                     prefix.empty() ? "-" : escaped_key(prefix), place->pool->name,
                     place->pool->nodes[place->node].shown(), escaped_key(place->node_key),
                     place->life_s ? std::to_string(*place->life_s) : "never",
                     options.reference ? "\t" + reference : "");
}

}  // namespace

Result<KeyPlace, std::string> place_of_key(const Snapshot& snapshot, std::string_view key,
                                           std::int32_t exptime, UnixTime now) {
  if (key.empty()) return unexpected(std::string("an empty key; keys have 1 to 250 bytes"));
  const Namespace* space = snapshot.namespaces.find(key);
  const std::size_t bytes_max =
      space != nullptr && space->seal.blind_keys ? kLongKeyBytesMax : kKeyBytesMax;
  if (key.size() > bytes_max)
    return unexpected(fmt::format("a key of {} bytes; keys have 1 to {}", key.size(), bytes_max));
  if (space == nullptr)
    return unexpected(
        std::string("no namespace has this key; add one with its prefix, or with prefix \"\""));
  const Pool& pool = snapshot.pools[space->pool];
  SeenKey seen = seen_key(snapshot, *space, key);
  return KeyPlace{.space = space,
                  .pool = &pool,
                  .node = pool.ring.owner_of(seen.route),
                  .node_key = std::move(seen.key),
                  .life_s = life_of(space->life, exptime, now),
                  .reference = reference_of(snapshot, *space, key)};
}

int where(const Snapshot& snapshot, const WhereOptions& options, UnixTime now, std::istream& in,
          std::ostream& out, std::ostream& errors) {
  int exit_code = 0;
  if (options.reference && snapshot.keyring == nullptr)
    errors
        << "tokenring: no reference can be told: there is no key file (keys), so a process draws "
           "the key of its references when it starts\n";
  const auto answer = [&](std::string_view text) {
    const auto line = line_for(snapshot, unescaped_key(text), options, now);
    if (line) {
      out << *line << '\n';
    } else {
      errors << "tokenring: " << line.error() << '\n';
      exit_code = 1;
    }
  };
  for (const std::string& key : options.keys) {
    if (key != "-") {
      answer(key);
      continue;
    }
    for (std::string line; std::getline(in, line);) answer(line);
  }
  return exit_code;
}

}  // namespace tokenring
