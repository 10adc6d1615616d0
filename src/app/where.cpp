#include "app/where.hpp"

#include <fmt/format.h>

#include "app/spelling.hpp"
#include "seal/blind.hpp"
#include "tokenring/request.hpp"

namespace tokenring {

namespace {

std::string life_text(const LifeRules& rules, std::int32_t exptime, UnixTime now) {
  LifeRules steady = rules;
  steady.ttl_jitter = 0;
  const Expiry life = granted_life(steady, Expiry::from_exptime(exptime), now, 0);
  return life.is_never() ? "never" : std::to_string(life.remaining_s(now));
}

struct SeenKey {
  std::string key;    // As the node sees it.
  std::string route;  // What the ring is asked for.
};

SeenKey seen_key(const Snapshot& snapshot, const Namespace& space, std::string_view key) {
  if (!space.seal.blind_keys) return {std::string(key), std::string(key)};
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

// What the log of a value that does not open calls its key.
std::string reference_of(const Snapshot& snapshot, const Namespace& space, std::string_view key) {
  if (snapshot.keyring == nullptr || !space.seal.seals()) return "-";
  std::string reference(kAuditCharacters, '\0');
  snapshot.keyring->audit().refer({.space = space.prefix, .key = key}, reference.data());
  return reference;
}

// The line for a key; the reason why it has none.
Result<std::string, std::string> line_for(const Snapshot& snapshot, std::string_view key,
                                          const WhereOptions& options, UnixTime now) {
  if (key.empty()) return unexpected(std::string("an empty key; keys have 1 to 250 bytes"));
  const Namespace* space = snapshot.namespaces.find(key);
  const std::size_t bytes_max =
      space != nullptr && space->seal.blind_keys ? kLongKeyBytesMax : kKeyBytesMax;
  if (key.size() > bytes_max) {
    return unexpected(fmt::format("{}: a key of {} bytes; keys have 1 to {}", escaped_key(key),
                                  key.size(), bytes_max));
  }
  if (space == nullptr) {
    return unexpected(
        fmt::format("{}: no namespace has this key; add one with its prefix, or with prefix \"\"",
                    escaped_key(key)));
  }
  const Pool& pool = snapshot.pools[space->pool];
  const SeenKey seen = seen_key(snapshot, *space, key);
  const NodeSpec& node = pool.nodes[pool.ring.owner_of(seen.route)];
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}{}", escaped_key(key),
                     space->prefix.empty() ? "-" : escaped_key(space->prefix), pool.name,
                     node.shown(), escaped_key(seen.key),
                     life_text(space->life, options.exptime, now),
                     options.reference ? "\t" + reference_of(snapshot, *space, key) : "");
}

}  // namespace

int where(const Snapshot& snapshot, const WhereOptions& options, UnixTime now, std::istream& in,
          std::ostream& out, std::ostream& errors) {
  int exit_code = 0;
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
