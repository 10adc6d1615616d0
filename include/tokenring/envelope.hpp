// Sealed values: the envelope that a node stores, and the Sealer that makes and opens it.
//
// XAES-256-GCM (c2sp.org/XAES-256-GCM) under a key of the value's namespace; src/seal/FORMAT.md has
// the bytes. A value opens only with the client key, client flags and namespace it was sealed with.
// Everything writes into a caller's buffer; views borrow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "tokenring/keyring.hpp"
#include "tokenring/result.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

inline constexpr std::size_t kEnvelopeBytes = 56;   // What an envelope adds to its plaintext...
inline constexpr std::size_t kGenerationBytes = 8;  // ...and a generation on top of that.
inline constexpr std::size_t kClientKeyBytesMax = 8192;

[[nodiscard]] constexpr std::size_t sealed_size(std::size_t plain_bytes,
                                                bool with_generation) noexcept {
  return kEnvelopeBytes + (with_generation ? kGenerationBytes : 0) + plain_bytes;
}

// What an envelope says in the clear. It is true only once the envelope was opened.
struct EnvelopeHeader {
  bool zstd = false;     // The plaintext is a frame of src/seal/compress.hpp.
  bool control = false;  // A control item (a group's generation marker, a tombstone), no value.
  std::uint32_t key_id = 0;
  std::uint32_t exp = 0;  // Hard expiry, Unix seconds; 0: none.
  std::uint32_t iat = 0;  // The token's iat, else the time of writing; Unix seconds.
  std::optional<std::uint64_t> generation = {};
};

// An envelope taken apart. Borrows from the bytes it was parsed from.
struct EnvelopeView {
  EnvelopeHeader header;
  std::string_view nonce;       // 24 bytes.
  std::string_view ciphertext;  // As long as the plaintext.
  std::string_view tag;         // 16 bytes.
};

enum class OpenOutcome : std::uint8_t {
  kOpened,
  kPlaintext,   // No envelope: it does not begin with F5 C7.
  kMalformed,   // It does, but is cut short or of a version, suite or bit that is unknown here.
  kUnknownKey,  // Sealed under a master key that the keyring does not have.
  kAuthFail,    // Changed, or sealed for another key, namespace or flags.
  kExpired,     // Genuine, but its hard expiry is over.
};
[[nodiscard]] std::string_view name_of(OpenOutcome outcome) noexcept;

// The error is kPlaintext or kMalformed.
[[nodiscard]] Result<EnvelopeView, OpenOutcome> parse_envelope(std::string_view bytes) noexcept;

// Writes the parts that precede the ciphertext: header, nonce (24 bytes) and, if there is one, the
// generation. Returns their size, 40 or 48.
std::size_t format_envelope_head(const EnvelopeHeader& header, std::string_view nonce,
                                 char* out) noexcept;

// Where random bytes come from. The core draws none by itself.
class Entropy {
 public:
  virtual ~Entropy() = default;
  // False when there is none to be had; then nothing may be sealed.
  [[nodiscard]] virtual bool fill(std::span<unsigned char> out) noexcept = 0;
};
// The operating system's, through OpenSSL. Safe in any thread and after a fork.
[[nodiscard]] Entropy& system_entropy() noexcept;

// Which value it is: what an envelope is bound to beside its header.
struct ValueIdentity {
  NamespaceId space;
  std::string_view client_key;  // REQUIRES: at most kClientKeyBytesMax bytes.
  std::uint32_t client_flags = 0;
};

struct SealOptions {
  UnixTime exp = {};  // Hard expiry; 0: none. What is before 1970 is expired.
  UnixTime iat = {};  // The token's own; 0: now.
  std::optional<std::uint64_t> generation = {};
  bool zstd = false;
  bool control = false;
};

struct OpenResult {
  OpenOutcome outcome = OpenOutcome::kMalformed;
  std::size_t size = 0;        // Of the plaintext; 0 unless opened.
  EnvelopeHeader header = {};  // As authenticated, for kOpened and kExpired; else untrue or empty.

  [[nodiscard]] bool opened() const noexcept { return outcome == OpenOutcome::kOpened; }
};

struct SealerLimits {
  // Subkeys of other writers that are kept keyed (about 1 KiB each, made when needed); a power of
  // two.
  std::size_t open_contexts = 256;
  // Messages under one head of a nonce; lower is as safe.
  std::uint32_t head_messages_max = 1U << 24;
};

// Seals and opens. One for each thread; keeps keyed contexts, so that a value costs one pass of
// AES-GCM and, after warm-up, no allocation.
//
// Half of a nonce is drawn with the subkey it selects and kept for head_messages_max messages,
// kHeadSecondsMax, until a fork or until use(); the other half is random for each message.
class Sealer {
 public:
  static constexpr std::int64_t kHeadSecondsMax = 3600;

  // `entropy` must outlive the Sealer.
  Sealer(std::shared_ptr<const NamespaceKeys> keys, Entropy& entropy, SealerLimits limits = {});
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // Other keys from here on: NamespaceIds are then those of `keys`, and every kept subkey is gone.
  void use(std::shared_ptr<const NamespaceKeys> keys) noexcept;
  [[nodiscard]] const NamespaceKeys& keys() const noexcept;

  // Writes sealed_size(plain.size(), options.generation.has_value()) bytes to `out` and returns
  // their number, or 0 when entropy failed. `out` must not overlap `plain`.
  [[nodiscard]] std::size_t seal(const ValueIdentity& identity, std::string_view plain,
                                 const SealOptions& options, UnixTime now, char* out) noexcept;

  // Writes the plaintext to `out`, which has room for sealed.size() bytes and does not overlap
  // `sealed`. Unless kOpened is returned, nothing of the plaintext is left there.
  [[nodiscard]] OpenResult open(const ValueIdentity& identity, std::string_view sealed,
                                UnixTime now, char* out) noexcept;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace tokenring
