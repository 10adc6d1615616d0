// The plain SHA-256 functions: a state of EVP's cannot be copied without allocating, which takes
// several times as long as the hash of a key.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "seal/hmac.hpp"

#include <openssl/sha.h>

#include <cstring>

#include "base/assert.hpp"

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

}  // namespace

HmacKey::HmacKey(std::span<const unsigned char> key) : states_(sizeof(States)) {
  TR_ASSERT(key.size() <= SHA256_CBLOCK);
  SecretBytes block(SHA256_CBLOCK);
  std::memcpy(block.data(), key.data(), key.size());
  auto* const states = reinterpret_cast<States*>(states_.data());
  begin(states->inner, block.data(), 0x36);
  begin(states->outer, block.data(), 0x5c);
}

Mac HmacKey::mac(std::initializer_list<std::string_view> parts) const noexcept {
  // What is left of these copies on the stack is the states' last values, which do not lead back to
  // the key.
  const auto* const states = reinterpret_cast<const States*>(states_.data());
  Mac mac;
  SHA256_CTX state = states->inner;
  for (const std::string_view part : parts) SHA256_Update(&state, part.data(), part.size());
  SHA256_Final(mac.data(), &state);
  state = states->outer;
  SHA256_Update(&state, mac.data(), mac.size());
  SHA256_Final(mac.data(), &state);
  return mac;
}

}  // namespace tokenring
