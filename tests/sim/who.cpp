#include "who.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "client.hpp"

namespace tokenring::sim {

namespace {

constexpr Rights kAll{31};

Owner owner_of(std::uint32_t client) {
  return static_cast<Owner>(kind_of(client) == Kind::kOwner ? client + 1 : 0);
}

// PBKDF2 takes its time, so it is done once.
std::shared_ptr<const UserBook> users() {
  static const auto book = [] {
    const auto key = std::make_shared<const HmacKey>(std::array<unsigned char, 32>{7});
    std::string text;
    for (std::uint32_t client = 0; client < 8; ++client) {
      std::string password = password_of(client);
      if (kind_of(client) == Kind::kHashed) {
        PasswordHash hash{.iterations = PasswordHash::kIterationsMin};
        hash.salt[0] = static_cast<unsigned char>(client);
        hash.hash = derive_password(password, hash.salt, hash.iterations);
        password = text_of(hash);
      }
      text += fmt::format("{}:{}\n", user_of(client), password);
    }
    return UserBook::parse(text, "users", key).value();
  }();
  return book;
}

}  // namespace

std::string user_of(std::uint32_t client) {
  return fmt::format("u{}", client);
}

std::string password_of(std::uint32_t client) {
  return fmt::format("pw{}", client);
}

std::string mark_of(std::uint32_t client) {
  return owner_of(client) == 0 ? std::string() : user_of(client) + "/";
}

Peer peer_of(std::uint32_t client) {
  Peer peer;
  peer.kind = Peer::Kind::kInternet;
  peer.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0};
  peer.address[15] = static_cast<std::uint8_t>(client);
  return peer;
}

// [cap:]c<number>:...
std::uint32_t writer_of(std::string_view key) {
  if (key.starts_with(kCappedPrefix)) key.remove_prefix(kCappedPrefix.size());
  std::uint32_t number = UINT32_MAX;
  std::from_chars(key.data() + 1, key.data() + key.size(), number);
  return number;
}

bool may_see(std::uint32_t client, std::string_view key) {
  const std::uint32_t writer = writer_of(key);
  const bool is_capped = key.starts_with(kCappedPrefix);
  if (owner_of(client) != owner_of(writer)) return false;
  return !is_capped || (kind_of(client) != Kind::kLimited && kind_of(writer) != Kind::kLimited);
}

void add_owned_spaces(std::uint32_t clients, std::vector<Namespace>& spaces) {
  const std::vector<Namespace> shared = spaces;
  for (std::uint32_t client = 0; client < clients; ++client) {
    if (owner_of(client) == 0) continue;
    for (Namespace space : shared) {
      space.prefix = mark_of(client) + space.prefix;
      space.owner = owner_of(client);
      space.mark_bytes = static_cast<std::uint16_t>(mark_of(client).size());
      spaces.push_back(std::move(space));
    }
  }
}

void ask_who(std::uint32_t clients, Snapshot& snapshot) {
  std::vector<Identity> identities;
  for (std::uint32_t client = 0; client < clients; ++client) {
    Identity& identity = identities.emplace_back();
    identity.name = user_of(client);
    identity.recognition.users = {identity.name};
    identity.hides = kind_of(client) == Kind::kLimited;
    identity.owner = owner_of(client);
    identity.mark = mark_of(client);
    identity.everywhere = kAll;
    for (const Namespace& space : snapshot.namespaces.all()) {
      const bool is_its =
          space.owner == identity.owner && !(identity.hides && space.prefix == kCappedPrefix);
      identity.rights.push_back(is_its ? kAll : Rights());
    }
  }
  snapshot.identifies = {true};
  snapshot.access = std::make_shared<const AccessTable>(std::move(identities), users(), 1, nullptr);
}

}  // namespace tokenring::sim
