// The plain SHA-256 functions: a state of EVP's cannot be copied without allocating, which takes
// several times as long as the hash of a key.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "seal/hmac.hpp"

#include <openssl/sha.h>

#include <cstdint>
#include <cstring>

#include "base/assert.hpp"
#include "seal/bytes.hpp"

namespace tokenring {

namespace {

struct States {
  SHA256_CTX inner;
  SHA256_CTX outer;
};

void begin(SHA256_CTX& state, const unsigned char* key_block, unsigned char pad) noexcept {
  unsigned char block[SHA256_CBLOCK];
  for (std::size_t i = 0; i < sizeof block; ++i)
    block[i] = static_cast<unsigned char>(key_block[i] ^ pad);
  SHA256_Init(&state);
  SHA256_Update(&state, block, sizeof block);
  wipe(block, sizeof block);
}

// A message that is one block together with SHA-256's padding, as those of most keys and tags are:
// its HMAC is two compressions, and what Update and Final add to each is a third of it.
class ShortMessage {
 public:
  // False if the parts are too long.
  bool take(MacParts parts) noexcept {
    std::size_t used = 0;
    for (const std::string_view part : parts) {
      if (part.size() > kBytesMax - used) return false;
      used += part.copy(reinterpret_cast<char*>(block_) + used, part.size());
    }
    end_at(used);
    return true;
  }

  // What was hashed becomes the message that the outer hash is of.
  void inner(const States& states) noexcept {
    compress(states.inner);
    std::memset(block_, 0, sizeof block_);
    put(block_);
    end_at(sizeof(Mac));
  }

  void outer(const States& states, Mac& mac) noexcept {
    compress(states.outer);
    put(mac.data());
  }

 private:
  static constexpr std::size_t kBytesMax = SHA256_CBLOCK - 9;  // A bit, and the size in 8 bytes.

  // The size is in bits, with the key's block. REQUIRES: zeros from `used` on.
  void end_at(std::size_t used) noexcept {
    const std::size_t bits = (SHA256_CBLOCK + used) * 8;
    block_[used] = 0x80;
    block_[SHA256_CBLOCK - 2] = static_cast<unsigned char>(bits >> 8);
    block_[SHA256_CBLOCK - 1] = static_cast<unsigned char>(bits);
  }

  void compress(const SHA256_CTX& begun) noexcept {
    std::memcpy(state_.h, begun.h, sizeof state_.h);
    SHA256_Transform(&state_, block_);
  }

  void put(unsigned char* out) const noexcept {
    for (std::size_t i = 0; i < 2; ++i) {
      Words words;
      std::memcpy(&words, state_.h + 4 * i, sizeof words);
      words = words << 24 | (words << 8 & 0xff0000) | (words >> 8 & 0xff00) | words >> 24;
      std::memcpy(out + i * sizeof words, &words, sizeof words);
    }
  }

  // Stored as wide as the compression will load them: it would wait for single words.
  using Words [[gnu::vector_size(16)]] = std::uint32_t;

  SHA256_CTX state_;  // Only its h is used.
  unsigned char block_[SHA256_CBLOCK] = {};
};

}  // namespace

HmacKey::HmacKey(std::span<const unsigned char> key) : states_(sizeof(States)) {
  TR_ASSERT(key.size() <= SHA256_CBLOCK);
  SecretBytes block(SHA256_CBLOCK);
  std::memcpy(block.data(), key.data(), key.size());
  auto* const states = reinterpret_cast<States*>(states_.data());
  begin(states->inner, block.data(), 0x36);
  begin(states->outer, block.data(), 0x5c);
}

// What is left of copied states on the stack is their last values, which do not lead back to the
// key.
Mac HmacKey::mac(MacParts parts) const noexcept {
  const auto* const states = reinterpret_cast<const States*>(states_.data());
  Mac mac;
  if (ShortMessage message; message.take(parts)) {
    message.inner(*states);
    message.outer(*states, mac);
    return mac;
  }
  SHA256_CTX state = states->inner;
  for (const std::string_view part : parts) SHA256_Update(&state, part.data(), part.size());
  SHA256_Final(mac.data(), &state);
  state = states->outer;
  SHA256_Update(&state, mac.data(), mac.size());
  SHA256_Final(mac.data(), &state);
  return mac;
}

void HmacKey::mac_two(MacParts one, MacParts other, Mac& of_one, Mac& of_other) const noexcept {
  ShortMessage a;
  ShortMessage b;
  if (!a.take(one) || !b.take(other)) {
    of_one = mac(one);
    of_other = mac(other);
    return;
  }
  // In turn, as neither of a pair waits for the other.
  const auto* const states = reinterpret_cast<const States*>(states_.data());
  a.inner(*states);
  b.inner(*states);
  a.outer(*states, of_one);
  b.outer(*states, of_other);
}

}  // namespace tokenring
