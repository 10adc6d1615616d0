#include "io/tls_session.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/socket.hpp"

namespace tokenring {

namespace {

// Records without data that are taken in one go. A peer that sends more of them wants to keep us
// busy.
constexpr int kEmptyRecordsMax = 32;
// memcached (1.6.18 for one) reads up to 16 KiB, waits for its socket, and forgets what of a record
// it has not taken out of OpenSSL yet. Once a node may have so much to read, what is sent at once
// ends with a record of one byte, of which nothing can be left.
constexpr std::size_t kNodeReadBytes = std::size_t{8} << 10;

TlsSession& session_of(BIO* bio) noexcept {
  return *static_cast<TlsSession*>(::BIO_get_data(bio));
}

int read_bio(BIO* bio, char* to, int size) noexcept {
  ::BIO_clear_retry_flags(bio);
  const ssize_t n = session_of(bio).receive_raw({to, static_cast<std::size_t>(size)});
  if (n < 0 && would_block()) ::BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

int write_bio(BIO* bio, const char* from, int size) noexcept {
  ::BIO_clear_retry_flags(bio);
  const ssize_t n = session_of(bio).send_raw({from, static_cast<std::size_t>(size)});
  if (n < 0 && would_block()) ::BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

long control_bio(BIO*, int command, long, void*) noexcept {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// A socket of which is known whether more is to be had, so that the kernel is not asked in vain.
BIO_METHOD* bio_method() noexcept {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made =
        ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "client or link");
    ::BIO_meth_set_read(made, read_bio);
    ::BIO_meth_set_write(made, write_bio);
    ::BIO_meth_set_ctrl(made, control_bio);
    return made;
  }();
  return method;
}

bool set_expected_name(SSL* ssl, const std::string& name) noexcept {
  X509_VERIFY_PARAM* const rules = ::SSL_get0_param(ssl);
  if (!expect_name(rules, name)) return false;
  const bool is_address = ::X509_VERIFY_PARAM_get0_host(rules, 0) == nullptr;
  return is_address || ::SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                  const_cast<char*>(name.c_str())) == 1;
}

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, int fd) noexcept
    : context_(std::move(context)), fd_(fd) {}

bool TlsSession::attach() noexcept {
  ssl_ = ::SSL_new(context_->get());
  if (ssl_ == nullptr) return false;
  SSL_set_app_data(ssl_, this);
  // Only OpenSSL's own socket hands keys to the kernel.
  if (context_->uses_ktls()) return ::SSL_set_fd(ssl_, fd_) == 1;
  BIO* const bio = ::BIO_new(bio_method());
  if (bio == nullptr) return false;
  ::BIO_set_data(bio, this);
  ::BIO_set_init(bio, 1);
  ::SSL_set_bio(ssl_, bio, bio);
  return true;
}

std::unique_ptr<TlsSession> TlsSession::of_client(std::shared_ptr<const TlsContext> context,
                                                  int fd) noexcept {
  std::unique_ptr<TlsSession> session(new TlsSession(std::move(context), fd));
  if (!session->attach()) return nullptr;
  ::SSL_set_accept_state(session->ssl_);
  return session;
}

std::unique_ptr<TlsSession> TlsSession::of_node(std::shared_ptr<const TlsContext> context, int fd,
                                                const std::string& name,
                                                std::string place) noexcept {
  std::unique_ptr<TlsSession> session(new TlsSession(std::move(context), fd));
  if (!session->attach()) return nullptr;
  ::SSL_set_connect_state(session->ssl_);
  session->is_node_ = true;
  session->place_ = std::move(place);
  if (session->context_->verifies_name() && !set_expected_name(session->ssl_, name)) return nullptr;
  if (SSL_SESSION* const earlier = session->context_->take_session(session->place_)) {
    ::SSL_set_session(session->ssl_, earlier);
    ::SSL_SESSION_free(earlier);
  }
  return session;
}

TlsSession::~TlsSession() {
  if (established_ && !failed_) {
    ::ERR_clear_error();
    ::SSL_shutdown(ssl_);
  }
  ::SSL_free(ssl_);
  ::ERR_clear_error();
}

int TlsSession::on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  const auto* const self = static_cast<const TlsSession*>(SSL_get_app_data(ssl));
  self->context_->keep_session(self->place_, session);
  return 1;
}

ssize_t TlsSession::receive_raw(std::span<char> space) noexcept {
  if (dry_) {
    errno = EAGAIN;
    return -1;
  }
  ssize_t n = 0;
  do n = tokenring::receive(fd_, space);
  while (n < 0 && errno == EINTR);
  cut_ |= n == 0;
  dry_ = n < static_cast<ssize_t>(space.size()) && n != 0;
  return n;
}

ssize_t TlsSession::send_raw(std::string_view bytes) noexcept {
  const int flags = MSG_NOSIGNAL | (more_follows_ ? MSG_MORE : 0);
  ssize_t n = 0;
  do n = ::send(fd_, bytes.data(), bytes.size(), flags);
  while (n < 0 && errno == EINTR);
  return n;
}

std::vector<std::string> TlsSession::peer_names() const {
  std::vector<std::string> names;
  const std::unique_ptr<X509, decltype(&::X509_free)> shown(::SSL_get1_peer_certificate(ssl_),
                                                            &::X509_free);
  if (shown == nullptr || ::SSL_get_verify_result(ssl_) != X509_V_OK) return names;
  const auto add = [&](const char* kind, const ASN1_STRING* text) {
    unsigned char* bytes = nullptr;
    const int size = ::ASN1_STRING_to_UTF8(&bytes, text);
    if (size < 0) return;
    const std::string_view name(reinterpret_cast<const char*>(bytes),
                                static_cast<std::size_t>(size));
    // A name with a NUL in it was made to be taken for another.
    if (name.find('\0') == std::string_view::npos) names.push_back(kind + std::string(name));
    ::OPENSSL_free(bytes);
  };
  const X509_NAME* const subject = ::X509_get_subject_name(shown.get());
  for (int at = -1; (at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
    add("CN=", ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at)));
  auto* const others = static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(shown.get(), NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(others); ++i) {
    int kind = 0;
    const void* const value = ::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(others, i), &kind);
    if (kind == GEN_DNS) add("DNS:", static_cast<const ASN1_STRING*>(value));
    if (kind == GEN_URI) add("URI:", static_cast<const ASN1_STRING*>(value));
  }
  ::GENERAL_NAMES_free(others);
  return names;
}

bool TlsSession::was_resumed() const noexcept {
  return ::SSL_session_reused(ssl_) == 1;
}

bool TlsSession::is_kernels() const noexcept {
  return BIO_get_ktls_send(::SSL_get_wbio(ssl_)) && BIO_get_ktls_recv(::SSL_get_rbio(ssl_));
}

// Says why, in words for an operator.
void TlsSession::fail(int kind) noexcept {
  const int number = errno;
  failed_ = true;
  wants_write_ = false;
  const long verified = ::SSL_get_verify_result(ssl_);
  const bool refused_it =
      ERR_GET_REASON(::ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  problem_ = tls_error_text();
  if (refused_it && verified != X509_V_OK)
    problem_ = std::string("certificate: ") + ::X509_verify_cert_error_string(verified);
  if (problem_.empty())
    problem_ = kind == SSL_ERROR_SYSCALL && number != 0 ? std::strerror(number)
                                                        : "the peer closed the connection";
}

TlsSession::Step TlsSession::shake() noexcept {
  dry_ = false;
  while (true) {
    ::ERR_clear_error();
    errno = 0;
    const int result = ::SSL_do_handshake(ssl_);
    if (result == 1) {
      established_ = true;
      return Step::kDone;
    }
    const int kind = ::SSL_get_error(ssl_, result);
    if (kind == SSL_ERROR_WANT_READ && !context_->uses_ktls() && !dry_) continue;
    if (kind == SSL_ERROR_WANT_READ) return Step::kWantsRead;
    if (kind == SSL_ERROR_WANT_WRITE) return Step::kWantsWrite;
    fail(kind);
    return Step::kFailed;
  }
}

// After SSL_read_ex() gave nothing: SSL_ERROR_NONE where there may be more.
int TlsSession::why_no_data() noexcept {
  const int kind = ::SSL_get_error(ssl_, 0);
  switch (kind) {
    case SSL_ERROR_WANT_READ:
      return context_->uses_ktls() || dry_ ? kind : SSL_ERROR_NONE;
    case SSL_ERROR_WANT_WRITE:
      wants_write_ = true;
      return kind;
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      return kind;
    default:
      break;
  }
  // Requests and replies say where they end, so a stream that is cut off is one that ends.
  if (cut_) {
    ended_ = true;
    return SSL_ERROR_ZERO_RETURN;
  }
  fail(kind);
  return kind;
}

ssize_t TlsSession::receive(std::span<char> space) noexcept {
  dry_ = wants_write_ = false;
  std::size_t got = 0;
  int why = SSL_ERROR_NONE;
  int empty_records = 0;
  while (got < space.size() && why == SSL_ERROR_NONE && !failed_ && !ended_) {
    std::size_t n = 0;
    ::ERR_clear_error();
    errno = 0;
    if (::SSL_read_ex(ssl_, space.data() + got, space.size() - got, &n) == 1) {
      got += n;
      continue;
    }
    why = why_no_data();
    if (why == SSL_ERROR_NONE && ++empty_records == kEmptyRecordsMax) {
      failed_ = true;
      problem_ = "too many records without data";
    }
  }
  if (got > 0) return static_cast<ssize_t>(got);
  if (failed_) {
    errno = EPROTO;
    return -1;
  }
  if (ended_) return 0;
  errno = EAGAIN;
  return -1;
}

// Small pieces share a record, whose head and tag would else be most of it.
ssize_t TlsSession::send(std::span<const std::string_view> pieces) noexcept {
  if (failed_) {
    errno = EPROTO;
    return -1;
  }
  std::size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  more_follows_ =
      is_node_ && size > 1 && size <= kRecordBytes && unrested_bytes_ + size > kNodeReadBytes;
  size = std::min(size - (more_follows_ ? 1 : 0), kRecordBytes);
  const char* from = pieces[0].data();
  if (pieces[0].size() < size) {
    static thread_local std::array<char, kRecordBytes> gathered;
    std::size_t filled = 0;
    for (const std::string_view piece : pieces)
      filled += piece.copy(gathered.data() + filled, size - filled);
    from = gathered.data();
  }
  ::ERR_clear_error();
  errno = 0;
  std::size_t sent = 0;
  const bool is_sent = ::SSL_write_ex(ssl_, from, size, &sent) == 1;
  more_follows_ = false;
  if (is_sent) {
    unrested_bytes_ += sent;
    return static_cast<ssize_t>(sent);
  }
  const int kind = ::SSL_get_error(ssl_, 0);
  if (kind == SSL_ERROR_WANT_WRITE) {
    errno = EAGAIN;
    return -1;
  }
  fail(kind);
  errno = EPROTO;
  return -1;
}

}  // namespace tokenring
