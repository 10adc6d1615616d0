#include "seal/xaes.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <climits>
#include <cstring>

#include "base/assert.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

const unsigned char* bytes_of(const char* text) noexcept {
  return reinterpret_cast<const unsigned char*>(text);
}

unsigned char* bytes_of(char* text) noexcept {
  return reinterpret_cast<unsigned char*>(text);
}

// Fetched once for the process: a fetch for each use costs more than sealing a small value.
const EVP_CIPHER* fetched(const char* name) noexcept {
  const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  TR_ASSERT(cipher != nullptr);
  return cipher;
}

const EVP_CIPHER* gcm() noexcept {
  static const EVP_CIPHER* const kCipher = fetched("AES-256-GCM");
  return kCipher;
}

const EVP_CIPHER* ecb() noexcept {
  static const EVP_CIPHER* const kCipher = fetched("AES-256-ECB");
  return kCipher;
}

CipherContext new_context() noexcept {
  CipherContext context(EVP_CIPHER_CTX_new());
  TR_ASSERT(context != nullptr);
  return context;
}

// Whole blocks. What may fail here is a wrong call or the memory of a first use.
void encrypt_blocks(EVP_CIPHER_CTX* aes, const unsigned char* key, const unsigned char* in,
                    std::size_t size, unsigned char* out) noexcept {
  int written = 0;
  TR_ASSERT(EVP_EncryptInit_ex2(aes, nullptr, key, nullptr, nullptr) == 1);
  TR_ASSERT(EVP_EncryptUpdate(aes, out, &written, in, static_cast<int>(size)) == 1);
  TR_ASSERT(written == static_cast<int>(size));
}

// Where a tag is, or is to be put, as EVP_CIPHER_CTX_ctrl would hand it on, at less cost.
struct TagParams {
  explicit TagParams(char* tag) noexcept
      : params{OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kXaesTagBytes),
               OSSL_PARAM_construct_end()} {}
  OSSL_PARAM params[2];
};

}  // namespace

void CipherContextFree::operator()(EVP_CIPHER_CTX* context) const noexcept {
  EVP_CIPHER_CTX_free(context);
}

XaesDeriver::XaesDeriver() : aes_(new_context()) {
  TR_ASSERT(EVP_EncryptInit_ex2(aes_.get(), ecb(), nullptr, nullptr, nullptr) == 1);
}

void XaesDeriver::prepare(XaesKey& key) noexcept {
  const unsigned char zeros[16] = {};
  unsigned char l[16];
  encrypt_blocks(aes_.get(), key.key, zeros, sizeof zeros, l);
  unsigned carry = 0;
  for (int i = 15; i >= 0; --i) {
    key.k1[i] = static_cast<unsigned char>(unsigned{l[i]} << 1 | carry);
    carry = unsigned{l[i]} >> 7;
  }
  key.k1[15] = static_cast<unsigned char>(key.k1[15] ^ (0x87U & (0U - carry)));
  wipe(l, sizeof l);
}

void XaesDeriver::subkey(const XaesKey& key, const char* head, unsigned char* out) noexcept {
  unsigned char blocks[32];
  for (unsigned char half = 0; half < 2; ++half) {
    unsigned char* const block = blocks + 16 * half;
    const unsigned char counter[4] = {0x00, static_cast<unsigned char>(half + 1), 'X', 0x00};
    std::memcpy(block, counter, sizeof counter);
    std::memcpy(block + sizeof counter, head, kXaesNonceHeadBytes);
    for (std::size_t i = 0; i < 16; ++i) block[i] ^= key.k1[i];
  }
  encrypt_blocks(aes_.get(), key.key, blocks, sizeof blocks, out);
  wipe(blocks, sizeof blocks);
}

// Naming the cipher again would make OpenSSL allocate its state again.
const EVP_CIPHER* GcmContext::take_cipher() noexcept {
  if (context_) return nullptr;
  context_ = new_context();
  return gcm();
}

void GcmContext::set_sealing_key(const unsigned char* subkey) noexcept {
  const EVP_CIPHER* const cipher = take_cipher();
  TR_ASSERT(EVP_EncryptInit_ex2(context_.get(), cipher, subkey, nullptr, nullptr) == 1);
}

void GcmContext::set_opening_key(const unsigned char* subkey) noexcept {
  const EVP_CIPHER* const cipher = take_cipher();
  TR_ASSERT(EVP_DecryptInit_ex2(context_.get(), cipher, subkey, nullptr, nullptr) == 1);
}

void GcmContext::seal(const char* nonce_tail, std::string_view aad, std::string_view plain,
                      char* out) noexcept {
  EVP_CIPHER_CTX* const context = context_.get();
  TR_ASSERT(plain.size() < INT_MAX);
  int written = 0;
  bool ok = EVP_EncryptInit_ex2(context, nullptr, nullptr, bytes_of(nonce_tail), nullptr) == 1;
  // What is empty is no update.
  ok = ok && (aad.empty() || EVP_EncryptUpdate(context, nullptr, &written, bytes_of(aad.data()),
                                               static_cast<int>(aad.size())) == 1);
  ok = ok &&
       (plain.empty() || EVP_EncryptUpdate(context, bytes_of(out), &written, bytes_of(plain.data()),
                                           static_cast<int>(plain.size())) == 1);
  char* const tag = out + plain.size();
  ok = ok && EVP_EncryptFinal_ex(context, bytes_of(tag), &written) == 1;
  TagParams params(tag);
  ok = ok && EVP_CIPHER_CTX_get_params(context, params.params) == 1;
  TR_ASSERT(ok);
}

bool GcmContext::open(const char* nonce_tail, std::string_view aad, std::string_view ciphertext,
                      const char* tag, char* out) noexcept {
  EVP_CIPHER_CTX* const context = context_.get();
  TR_ASSERT(ciphertext.size() < INT_MAX);
  int written = 0;
  bool ok = EVP_DecryptInit_ex2(context, nullptr, nullptr, bytes_of(nonce_tail), nullptr) == 1;
  ok = ok && (aad.empty() || EVP_DecryptUpdate(context, nullptr, &written, bytes_of(aad.data()),
                                               static_cast<int>(aad.size())) == 1);
  ok = ok && (ciphertext.empty() ||
              EVP_DecryptUpdate(context, bytes_of(out), &written, bytes_of(ciphertext.data()),
                                static_cast<int>(ciphertext.size())) == 1);
  TR_ASSERT(ok);
  char expected[kXaesTagBytes];  // OpenSSL takes no const.
  std::memcpy(expected, tag, sizeof expected);
  const TagParams params(expected);
  TR_ASSERT(EVP_CIPHER_CTX_set_params(context, params.params) == 1);
  unsigned char none[16];
  if (EVP_DecryptFinal_ex(context, none, &written) == 1) return true;
  wipe(out, ciphertext.size());
  return false;
}

}  // namespace tokenring
