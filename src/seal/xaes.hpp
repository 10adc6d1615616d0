// XAES-256-GCM as c2sp.org/XAES-256-GCM has it, in the parts that are worth keeping between calls:
// a key with its K1, a subkey for the first half of a nonce, and a context keyed with a subkey.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

struct evp_cipher_ctx_st;
struct evp_cipher_st;

namespace tokenring {

inline constexpr std::size_t kXaesNonceHeadBytes = 12;  // Selects the subkey.
inline constexpr std::size_t kXaesNonceTailBytes = 12;  // AES-GCM's own nonce.
inline constexpr std::size_t kXaesNonceBytes = kXaesNonceHeadBytes + kXaesNonceTailBytes;
inline constexpr std::size_t kXaesTagBytes = 16;
inline constexpr std::size_t kXaesKeyBytes = 32;

struct CipherContextFree {
  void operator()(evp_cipher_ctx_st* context) const noexcept;
};
using CipherContext = std::unique_ptr<evp_cipher_ctx_st, CipherContextFree>;

// A key, and what its subkeys need: K1 = dbl(AES_K(0^128)).
struct XaesKey {
  unsigned char key[kXaesKeyBytes];
  unsigned char k1[16];
};

// Derives. One for each thread.
class XaesDeriver {
 public:
  XaesDeriver();

  // Fills k1 from key.
  void prepare(XaesKey& key) noexcept;
  // `head`: the nonce's first kXaesNonceHeadBytes bytes.
  void subkey(const XaesKey& key, const char* head, unsigned char* out) noexcept;

 private:
  CipherContext aes_;
};

// AES-256-GCM with the key set once: each message sets the nonce only. For one direction and
// one thread.
class GcmContext {
 public:
  // Allocates at the first call only. REQUIRES: kXaesKeyBytes bytes.
  void set_sealing_key(const unsigned char* subkey) noexcept;
  void set_opening_key(const unsigned char* subkey) noexcept;
  [[nodiscard]] bool has_key() const noexcept { return context_ != nullptr; }
  // Forgets the key and wipes it.
  void reset() noexcept { context_.reset(); }

  // Writes plain.size() bytes and the tag. REQUIRES: a sealing key; `nonce_tail` of 12 bytes.
  void seal(const char* nonce_tail, std::string_view aad, std::string_view plain,
            char* out) noexcept;
  // Writes ciphertext.size() bytes to `out`; false, and zeros there, if they are not genuine.
  // REQUIRES: an opening key; `nonce_tail` of 12 bytes, `tag` of 16.
  [[nodiscard]] bool open(const char* nonce_tail, std::string_view aad, std::string_view ciphertext,
                          const char* tag, char* out) noexcept;

 private:
  [[nodiscard]] const evp_cipher_st* take_cipher() noexcept;

  CipherContext context_;
};

}  // namespace tokenring
