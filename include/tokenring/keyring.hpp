// Keys: the ones an operator gives, and those of namespaces that are derived from them.
//
// Both are immutable and shared by the workers; a reload makes new ones. Their memory is locked,
// kept out of core dumps and wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/result.hpp"

namespace tokenring {

class SecretBytes;
struct XaesKey;
class Blinder;
class AuditHash;

inline constexpr std::size_t kNamespaceNameBytesMax = 255;

// A namespace's place in the NamespaceKeys that were derived for it.
struct NamespaceId {
  std::uint32_t index = 0;
  friend constexpr bool operator==(NamespaceId, NamespaceId) = default;
};

// The contents of a key file; see src/seal/FORMAT.md.
class Keyring {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  static constexpr std::size_t kMastersMax = 16;
  static constexpr std::size_t kTextBytesMax = 16384;

  // The error is one line, FILE:LINE: what is wrong; what would be right, and holds no key. `text`
  // is the caller's to wipe.
  [[nodiscard]] static Result<std::shared_ptr<const Keyring>, std::string> parse(
      std::string_view text, std::string_view file_name);
  // By which envelopes name a master key. REQUIRES: kKeyBytes bytes.
  [[nodiscard]] static std::uint32_t id_of(std::span<const unsigned char> master);
  ~Keyring();
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  [[nodiscard]] std::size_t master_count() const noexcept { return key_ids_.size(); }
  // In the order of the file, but that the primary is first.
  [[nodiscard]] std::uint32_t key_id(std::size_t master) const noexcept { return key_ids_[master]; }

  // Hides client keys from nodes; the same for every proxy with this file. Valid as long as the
  // Keyring.
  [[nodiscard]] const Blinder& blinder() const noexcept { return *blinder_; }
  // Refers to client keys in the audit log. Valid as long as the Keyring.
  [[nodiscard]] const AuditHash& audit() const noexcept { return *audit_; }

  // False where the machine refused to lock the memory (RLIMIT_MEMLOCK): worth a warning.
  [[nodiscard]] bool memory_is_locked() const noexcept;

 private:
  friend class NamespaceKeys;
  Keyring() noexcept;

  std::unique_ptr<SecretBytes> masters_;  // kKeyBytes each; the primary is first.
  std::vector<std::uint32_t> key_ids_;
  std::unique_ptr<const Blinder> blinder_;
  std::unique_ptr<const AuditHash> audit_;
};

// For each namespace, one key per master key. Derived once, where the configuration is read.
class NamespaceKeys {
 public:
  // NamespaceId{i} is names[i]. REQUIRES: no name above kNamespaceNameBytesMax bytes.
  [[nodiscard]] static std::shared_ptr<const NamespaceKeys> derive(
      const Keyring& keyring, std::span<const std::string> names);
  ~NamespaceKeys();
  NamespaceKeys(const NamespaceKeys&) = delete;
  NamespaceKeys& operator=(const NamespaceKeys&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] std::string_view name(NamespaceId space) const noexcept {
    return names_[space.index];
  }
  // The key that seals. Its place is 0.
  [[nodiscard]] std::uint32_t primary_id() const noexcept { return key_ids_.front(); }
  // The place of a master key, or -1.
  [[nodiscard]] int place_of(std::uint32_t key_id) const noexcept;
  [[nodiscard]] const XaesKey& key(NamespaceId space, std::size_t place) const noexcept;
  [[nodiscard]] bool memory_is_locked() const noexcept;

 private:
  NamespaceKeys() noexcept;

  std::unique_ptr<SecretBytes> keys_;  // XaesKey[size()][masters].
  std::vector<std::uint32_t> key_ids_;
  std::vector<std::string> names_;
};

}  // namespace tokenring
