#include "io/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "io/tls_session.hpp"

namespace tokenring {

namespace {

using Part = TlsProblem::Part;

template <auto kFree>
struct Freed {
  void operator()(auto* what) const noexcept { kFree(what); }
};
using Bio = std::unique_ptr<BIO, Freed<::BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<::X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freed<::EVP_PKEY_free>>;

// Perfect forward secrecy and no padding oracles; TLS 1.3 has nothing else.
constexpr const char* kCiphers1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr long kSessionS = TlsTickets::kKeyS;

Bio reader_of(std::string_view pem) {
  return Bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// A key that asks for a passphrase is an error: nobody is there to type one.
int no_passphrase(char*, int, int, void*) noexcept {
  return -1;
}

// All certificates of a text, in their order; nothing where some are none.
std::vector<Certificate> certificates_of(std::string_view pem) {
  std::vector<Certificate> found;
  const Bio bio = reader_of(pem);
  while (X509* one = ::PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr))
    found.emplace_back(one);
  const bool is_end = ERR_GET_REASON(::ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ::ERR_clear_error();
  if (!is_end) found.clear();
  return found;
}

std::string with_cause(std::string_view what) {
  const std::string cause = tls_error_text();
  return cause.empty() ? std::string(what) : std::string(what) + ": " + cause;
}

using Failure = std::optional<TlsProblem>;

Failure use_certificate(SSL_CTX* context, const TlsOptions& options) {
  const std::vector<Certificate> chain = certificates_of(options.certificate);
  if (chain.empty()) return TlsProblem{Part::kCertificate, "holds no certificate; give one in PEM"};
  if (::SSL_CTX_use_certificate(context, chain[0].get()) != 1)
    return TlsProblem{Part::kCertificate, with_cause("cannot be used")};
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (::SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1)
      return TlsProblem{Part::kCertificate, with_cause("has a chain that cannot be used")};
  const Bio bio = reader_of(options.key);
  const PrivateKey key(::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) {
    ::ERR_clear_error();
    return TlsProblem{Part::kKey, "holds no key; give one in PEM, without a passphrase"};
  }
  if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      ::SSL_CTX_check_private_key(context) != 1) {
    ::ERR_clear_error();
    return TlsProblem{Part::kKey, "is not the key of the certificate"};
  }
  return std::nullopt;
}

// An intermediate certificate, or a peer's own, is as good an anchor as a root.
Failure trust(SSL_CTX* context, const TlsOptions& options) {
  X509_VERIFY_PARAM* const param = ::SSL_CTX_get0_param(context);
  ::X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  if (options.ca.empty()) {
    if (!options.is_server && ::SSL_CTX_set_default_verify_paths(context) != 1)
      return TlsProblem{Part::kCa, with_cause("the system's certificates cannot be read")};
    return std::nullopt;
  }
  const std::vector<Certificate> trusted = certificates_of(options.ca);
  if (trusted.empty()) return TlsProblem{Part::kCa, "holds no certificate; give one in PEM"};
  for (const Certificate& one : trusted) {
    if (::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), one.get()) != 1)
      return TlsProblem{Part::kCa, with_cause("cannot be used")};
    if (options.is_server) ::SSL_CTX_add_client_CA(context, one.get());
  }
  return std::nullopt;
}

// A ticket is good only where the same would be asked of its client today.
bool set_session_id(SSL_CTX* context, const TlsOptions& options) {
  std::string text(options.name);
  text += '\0';
  text += static_cast<char>(options.client_certificates);
  text += options.ca;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  static_assert(SSL_MAX_SID_CTX_LENGTH == 32);
  return ::EVP_Digest(text.data(), text.size(), digest.data(), &size, ::EVP_sha256(), nullptr) ==
             1 &&
         ::SSL_CTX_set_session_id_context(context, digest.data(), size) == 1;
}

int verify_mode(const TlsOptions& options) {
  if (!options.is_server) return SSL_VERIFY_PEER;
  switch (options.client_certificates) {
    case ClientCertificates::kNone:
      return SSL_VERIFY_NONE;
    case ClientCertificates::kOptional:
      return SSL_VERIFY_PEER;
    case ClientCertificates::kRequired:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_PEER;
}

bool set_rules(SSL_CTX* context, const TlsOptions& options) {
  ::SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (options.ktls)
    ::SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // An idle connection holds no buffers. A record that is no data comes back to us, so that
  // nobody is read for ever; with the kernel's TLS there is no telling (see TlsSession::receive).
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!options.ktls) {
    ::SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    ::SSL_CTX_set_read_ahead(context, 1);
  }
  ::SSL_CTX_set_verify(context, verify_mode(options), nullptr);
  ::SSL_CTX_set_timeout(context, kSessionS);
  const int least = options.only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  return ::SSL_CTX_set_min_proto_version(context, least) == 1 &&
         ::SSL_CTX_set_cipher_list(context, kCiphers1_2) == 1;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>, TlsProblem> TlsContext::make(const TlsOptions& options) {
  ::ERR_clear_error();
  const std::shared_ptr<TlsContext> made(new TlsContext);
  made->context_ = ::SSL_CTX_new(options.is_server ? ::TLS_server_method() : ::TLS_client_method());
  made->verifies_name_ = options.verifies_name;
  made->ktls_ = options.ktls;
  SSL_CTX* const context = made->context_;
  if (context == nullptr || !set_rules(context, options) || !set_session_id(context, options))
    return unexpected(TlsProblem{Part::kOther, with_cause("TLS cannot be set up")});
  if (options.is_server || !options.certificate.empty())
    if (Failure failure = use_certificate(context, options)) return unexpected(*std::move(failure));
  if (Failure failure = trust(context, options)) return unexpected(*std::move(failure));
  if (options.is_server) {
    ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(context, 1);
    made->tickets_ = options.tickets != nullptr ? options.tickets : std::make_shared<TlsTickets>();
    made->tickets_->serve(context);
  } else {
    ::SSL_CTX_set_session_cache_mode(
        context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
    ::SSL_CTX_sess_set_new_cb(context, TlsSession::on_new_session);
  }
  return std::shared_ptr<const TlsContext>(made);
}

TlsContext::~TlsContext() {
  for (const auto& [place, session] : sessions_) ::SSL_SESSION_free(session);
  ::SSL_CTX_free(context_);
}

void TlsContext::keep_session(const std::string& place, ssl_session_st* session) const noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(place);
  if (found == sessions_.end() && sessions_.size() == kSessionsMax)
    return ::SSL_SESSION_free(session);
  SSL_SESSION*& kept = sessions_[place];
  ::SSL_SESSION_free(kept);
  kept = session;
}

// Each ticket of TLS 1.3 is for one use, so that nobody sees which connections are of one client.
ssl_session_st* TlsContext::take_session(const std::string& place) const noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(place);
  if (found == sessions_.end()) return nullptr;
  SSL_SESSION* const session = found->second;
  if (::SSL_SESSION_get_protocol_version(session) == TLS1_2_VERSION)
    ::SSL_SESSION_up_ref(session);
  else
    sessions_.erase(found);
  return session;
}

bool expect_name(X509_VERIFY_PARAM* rules, const std::string& name) noexcept {
  if (::X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1) return true;
  ::ERR_clear_error();
  ::X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return ::X509_VERIFY_PARAM_set1_host(rules, name.c_str(), name.size()) == 1;
}

std::string check_peers(SSL_CTX* context, std::string_view ca, const std::string& host) {
  if (ca.empty()) return "holds no certificate; give one in PEM";  // And not the system's.
  if (const Failure failure = trust(context, {.is_server = false, .ca = ca})) return failure->text;
  if (!host.empty() && !expect_name(::SSL_CTX_get0_param(context), host))
    return with_cause("cannot be used");
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return {};
}

std::string tls_error_text() {
  const unsigned long error = ::ERR_peek_last_error();
  ::ERR_clear_error();
  if (error == 0) return {};
  if (ERR_SYSTEM_ERROR(error)) return std::strerror(ERR_GET_REASON(error));
  const char* const reason = ::ERR_reason_error_string(error);
  return reason == nullptr ? "error of the TLS library" : reason;
}

}  // namespace tokenring
