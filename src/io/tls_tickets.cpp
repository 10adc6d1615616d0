#include "io/tls_tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>

#include "io/clock.hpp"

namespace tokenring {

namespace {

// Where a context's keys are kept in it.
int keys_index() noexcept {
  static const int index = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

bool set_up(const TlsTickets::Key& key, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
            bool seals) noexcept {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      ::OSSL_PARAM_construct_octet_string(
          OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.mac.data()), key.mac.size()),
      ::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      ::OSSL_PARAM_construct_end(),
  };
  return ::EVP_CipherInit_ex(cipher, ::EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv,
                             seals ? 1 : 0) == 1 &&
         ::EVP_MAC_CTX_set_params(mac, params) == 1;
}

// See SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 go on, 2 go on and give another ticket, 0 none.
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int seals) noexcept {
  auto* const tickets =
      static_cast<TlsTickets*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(ssl), keys_index()));
  const std::int64_t now_s = read_clock().unix_time.seconds;
  if (seals != 0) {
    const std::optional<TlsTickets::Key> key = tickets->current(now_s);
    if (!key || ::RAND_bytes(iv, ::EVP_CIPHER_get_iv_length(::EVP_aes_256_cbc())) != 1) return 0;
    std::copy(key->name.begin(), key->name.end(), name);
    return set_up(*key, iv, cipher, mac, true) ? 1 : -1;
  }
  const std::optional<TlsTickets::Found> found = tickets->find(name, now_s);
  if (!found) return 0;
  if (!set_up(found->key, iv, cipher, mac, false)) return -1;
  return found->is_old ? 2 : 1;
}

}  // namespace

TlsTickets::~TlsTickets() {
  for (std::optional<Key>& key : keys_)
    if (key) ::OPENSSL_cleanse(&*key, sizeof *key);
}

bool TlsTickets::renew(std::int64_t now_s) noexcept {
  Key key;
  key.made_s = now_s;
  if (::RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) != 1 ||
      ::RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) != 1 ||
      ::RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) != 1)
    return false;
  if (keys_[1]) ::OPENSSL_cleanse(&*keys_[1], sizeof *keys_[1]);
  keys_[1] = keys_[0];
  keys_[0] = key;
  return true;
}

std::optional<TlsTickets::Key> TlsTickets::current(std::int64_t now_s) noexcept {
  const std::lock_guard lock(mutex_);
  if ((!keys_[0] || now_s - keys_[0]->made_s >= kKeyS) && !renew(now_s)) return std::nullopt;
  return keys_[0];
}

std::optional<TlsTickets::Found> TlsTickets::find(const unsigned char* name,
                                                  std::int64_t now_s) noexcept {
  const std::lock_guard lock(mutex_);
  for (const std::optional<Key>& key : keys_) {
    if (!key || !std::equal(key->name.begin(), key->name.end(), name)) continue;
    const std::int64_t age_s = now_s - key->made_s;
    if (age_s >= 2 * kKeyS) return std::nullopt;
    return Found{.key = *key, .is_old = age_s >= kKeyS};
  }
  return std::nullopt;
}

void TlsTickets::serve(ssl_ctx_st* context) noexcept {
  ::SSL_CTX_set_ex_data(context, keys_index(), this);
  ::SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}

}  // namespace tokenring
