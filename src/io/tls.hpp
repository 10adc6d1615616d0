// TLS as a set-up: who we are, whom we trust, what is spoken. Made of PEM texts by the app;
// immutable, and shared by all sessions that were begun with it (see tls_session.hpp).
//
// TLS 1.2 with ECDHE and AEAD ciphers only, and TLS 1.3. No renegotiation, no compression, no early
// data, no ALPN.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "io/tls_tickets.hpp"
#include "tokenring/result.hpp"

struct ssl_ctx_st;      // OpenSSL's SSL_CTX
struct ssl_session_st;  // and SSL_SESSION,
struct X509_VERIFY_PARAM_st;

namespace tokenring {

enum class ClientCertificates : std::uint8_t { kNone, kOptional, kRequired };

struct TlsOptions {
  bool is_server = true;
  std::string_view name = {};         // Its own; tells sets of tickets apart.
  std::string_view certificate = {};  // PEM, the chain behind it. A client may do without.
  std::string_view key = {};          // PEM, not encrypted.
  // PEM: whose certificates are good. Empty: for a server nobody's, for a client those that the
  // system trusts.
  std::string_view ca = {};
  ClientCertificates client_certificates = ClientCertificates::kNone;  // Of a server.
  bool verifies_name = true;  // Of a client; else any certificate of `ca` will do.
  bool only_1_3 = false;
  bool ktls = false;                              // Where kernel and library have it.
  std::shared_ptr<TlsTickets> tickets = nullptr;  // Of a server; outlives set-ups.
};

// What is wrong with which of the texts.
struct TlsProblem {
  enum class Part : std::uint8_t { kCertificate, kKey, kCa, kOther };
  Part part = Part::kOther;
  std::string text;
};

class TlsContext {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>, TlsProblem> make(
      const TlsOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  [[nodiscard]] ssl_ctx_st* get() const noexcept { return context_; }
  [[nodiscard]] bool verifies_name() const noexcept { return verifies_name_; }
  [[nodiscard]] bool uses_ktls() const noexcept { return ktls_; }

  // A client's sessions, to be resumed, by where they lead. Any thread. `session` is taken.
  void keep_session(const std::string& place, ssl_session_st* session) const noexcept;
  // Null: none; else the caller's.
  [[nodiscard]] ssl_session_st* take_session(const std::string& place) const noexcept;

 private:
  static constexpr std::size_t kSessionsMax = 4096;

  TlsContext() = default;

  ssl_ctx_st* context_ = nullptr;
  std::shared_ptr<TlsTickets> tickets_;
  bool verifies_name_ = true;
  bool ktls_ = false;
  mutable std::mutex mutex_;
  mutable std::map<std::string, ssl_session_st*, std::less<>> sessions_;
};

// Has a peer's certificate checked to be for `name`, an IP address or the name of a host. False:
// that cannot be had.
[[nodiscard]] bool expect_name(X509_VERIFY_PARAM_st* rules, const std::string& name) noexcept;
// Has a client's context that a library made check its peers: their certificates are of `ca`, or
// among them, and for `host`, a name or an IP address; empty: for anything. What is wrong with
// `ca`; empty: nothing.
[[nodiscard]] std::string check_peers(ssl_ctx_st* context, std::string_view ca,
                                      const std::string& host);

// What OpenSSL noted as the cause of the last failure in this thread, in a few words; clears it.
[[nodiscard]] std::string tls_error_text();

}  // namespace tokenring
