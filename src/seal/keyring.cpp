#include "tokenring/keyring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "seal/blind.hpp"
#include "seal/bytes.hpp"
#include "seal/hkdf.hpp"
#include "seal/secret.hpp"
#include "seal/xaes.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kKeyBytes = Keyring::kKeyBytes;
constexpr std::string_view kFormat = "tokenring-keys";
constexpr std::string_view kBlank = " \t\r";

std::string_view next_word(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

// Keys of a file while it is read. No message quotes the file: what stands there may be a key.
struct Draft {
  enum Role : std::size_t { kPrimary, kBlind, kAudit, kMaster };
  static constexpr std::size_t kKeysMax = Keyring::kMastersMax + 2;

  SecretBytes keys{kKeysMax * kKeyBytes};
  std::size_t count = 0;
  std::size_t role[kKeysMax];
  bool has_format = false;

  [[nodiscard]] const unsigned char* key(std::size_t i) const noexcept {
    return keys.data() + i * kKeyBytes;
  }
  [[nodiscard]] std::size_t count_of(Role wanted) const noexcept {
    return static_cast<std::size_t>(std::count(role, role + count, wanted));
  }

  // Each returns what is wrong; empty when all is well.
  std::string add_line(std::string_view line);
  std::string add_key(Role wanted, std::string_view name, std::string_view text);
  [[nodiscard]] std::string missing() const;
};

std::string Draft::add_line(std::string_view line) {
  const std::string_view word = next_word(line);
  if (word.empty() || word.front() == '#') return {};
  const std::string_view argument = next_word(line);
  if (const std::string_view more = next_word(line); !more.empty() && more.front() != '#')
    return "more than two words; give a word and its key";
  if (!has_format) {
    has_format = word == kFormat && argument == "1";
    return has_format ? "" : "no key file; its first line is \"tokenring-keys 1\"";
  }
  constexpr std::string_view kNames[] = {"primary", "blind", "audit", "master"};
  for (const Role wanted : {kPrimary, kBlind, kAudit, kMaster})
    if (word == kNames[wanted]) return add_key(wanted, word, argument);
  return "unknown word; give primary, master, blind or audit";
}

std::string Draft::add_key(Role wanted, std::string_view name, std::string_view text) {
  if (wanted != kMaster && count_of(wanted) > 0)
    return fmt::format("{} stands here twice; give it once", name);
  if (count_of(kMaster) + count_of(kPrimary) == Keyring::kMastersMax && wanted == kMaster)
    return fmt::format("too many master keys; give at most {}", Keyring::kMastersMax);
  TR_ASSERT(count < kKeysMax);
  const std::span<unsigned char> bytes = keys.bytes().subspan(count * kKeyBytes, kKeyBytes);
  if (!decode_key_base64(text, bytes))
    return fmt::format("{} is not {} bytes in base64; tokenring keygen makes one", name, kKeyBytes);
  if (std::all_of(bytes.begin(), bytes.end(), [&](unsigned char b) { return b == bytes[0]; }))
    return fmt::format("{} is one byte repeated; tokenring keygen makes a random one", name);
  for (std::size_t i = 0; i < count; ++i)
    if (std::memcmp(key(i), bytes.data(), kKeyBytes) == 0)
      return fmt::format("{} is a key that stands here before; each must be one of its own", name);
  role[count++] = wanted;
  return {};
}

std::string Draft::missing() const {
  if (!has_format) return "is empty; its first line is \"tokenring-keys 1\"";
  if (count_of(kPrimary) == 0) return "has no primary key; tokenring keygen makes a file";
  if (count_of(kBlind) == 0) return "has no blind key; tokenring keygen makes a file";
  if (count_of(kAudit) == 0) return "has no audit key; tokenring keygen makes a file";
  return {};
}

Result<Draft, std::string> read_draft(std::string_view text, std::string_view file_name) {
  if (text.size() > Keyring::kTextBytesMax) {
    return unexpected(fmt::format("{}: is longer than {} bytes; no key file is", file_name,
                                  Keyring::kTextBytesMax));
  }
  Draft draft;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (std::string error = draft.add_line(line); !error.empty())
      return unexpected(fmt::format("{}:{}: {}", file_name, number, error));
  }
  if (std::string error = draft.missing(); !error.empty())
    return unexpected(fmt::format("{}: {}", file_name, error));
  return draft;
}

}  // namespace

Keyring::Keyring() noexcept = default;
Keyring::~Keyring() = default;

Result<std::shared_ptr<const Keyring>, std::string> Keyring::parse(std::string_view text,
                                                                   std::string_view file_name) {
  const Result<Draft, std::string> read = read_draft(text, file_name);
  if (!read) return unexpected(read.error());
  const Draft& draft = *read;
  const std::shared_ptr<Keyring> ring(new Keyring);
  ring->masters_ = std::make_unique<SecretBytes>(
      (draft.count_of(Draft::kMaster) + draft.count_of(Draft::kPrimary)) * kKeyBytes);
  const auto add_master = [&](std::span<const unsigned char> key) {
    std::memcpy(ring->masters_->data() + ring->key_ids_.size() * kKeyBytes, key.data(), kKeyBytes);
    ring->key_ids_.push_back(id_of(key));
  };
  for (const Draft::Role wanted : {Draft::kPrimary, Draft::kMaster, Draft::kBlind, Draft::kAudit}) {
    for (std::size_t i = 0; i < draft.count; ++i) {
      if (draft.role[i] != wanted) continue;
      const std::span<const unsigned char> key{draft.key(i), kKeyBytes};
      if (wanted == Draft::kBlind)
        ring->blinder_ = std::make_unique<Blinder>(key);
      else if (wanted == Draft::kAudit)
        ring->audit_ = std::make_unique<AuditHash>(key);
      else
        add_master(key);
    }
  }
  std::vector<std::uint32_t> ids = ring->key_ids_;
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return unexpected(fmt::format(
        "{}: two master keys have one key id, by chance; make one of them anew", file_name));
  }
  return std::shared_ptr<const Keyring>(ring);
}

std::uint32_t Keyring::id_of(std::span<const unsigned char> master) {
  char id[4];
  Hkdf(master).derive("kid", {}, {reinterpret_cast<unsigned char*>(id), sizeof id});
  return load_u32(id);
}

bool Keyring::memory_is_locked() const noexcept {
  return masters_->is_locked();
}

NamespaceKeys::NamespaceKeys() noexcept = default;
NamespaceKeys::~NamespaceKeys() = default;

std::shared_ptr<const NamespaceKeys> NamespaceKeys::derive(const Keyring& keyring,
                                                           std::span<const std::string> names) {
  const std::shared_ptr<NamespaceKeys> keys(new NamespaceKeys);
  keys->key_ids_ = keyring.key_ids_;
  keys->names_.assign(names.begin(), names.end());
  const std::size_t masters = keys->key_ids_.size();
  keys->keys_ = std::make_unique<SecretBytes>(names.size() * masters * sizeof(XaesKey));
  auto* const table = reinterpret_cast<XaesKey*>(keys->keys_->data());
  XaesDeriver deriver;
  for (std::size_t place = 0; place < masters; ++place) {
    const Hkdf hkdf(keyring.masters_->bytes().subspan(place * kKeyBytes, kKeyBytes));
    for (std::size_t space = 0; space < names.size(); ++space) {
      TR_ASSERT(names[space].size() <= kNamespaceNameBytesMax);
      XaesKey& key = table[space * masters + place];
      hkdf.derive({"env\0", 4}, names[space], key.key);
      deriver.prepare(key);
    }
  }
  return keys;
}

int NamespaceKeys::place_of(std::uint32_t key_id) const noexcept {
  for (std::size_t i = 0; i < key_ids_.size(); ++i)
    if (key_ids_[i] == key_id) return static_cast<int>(i);
  return -1;
}

const XaesKey& NamespaceKeys::key(NamespaceId space, std::size_t place) const noexcept {
  TR_ASSERT(space.index < names_.size() && place < key_ids_.size());
  return reinterpret_cast<const XaesKey*>(keys_->data())[space.index * key_ids_.size() + place];
}

bool NamespaceKeys::memory_is_locked() const noexcept {
  return keys_->is_locked();
}

}  // namespace tokenring
