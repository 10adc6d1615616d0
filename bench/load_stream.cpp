#include "load_stream.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace tokenring::bench {

Tls::Tls() : context_(::SSL_CTX_new(::TLS_client_method())) {
  if (context_ == nullptr) throw std::runtime_error("TLS cannot be set up");
  ::SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

Tls::~Tls() {
  ::SSL_CTX_free(context_);
}

Stream::Stream(int fd, const Tls* tls) : fd_(fd) {
  if (tls != nullptr) {
    ssl_ = ::SSL_new(tls->get());
    if (ssl_ == nullptr || ::SSL_set_fd(ssl_, fd) != 1 || ::SSL_connect(ssl_) != 1) {
      ::SSL_free(ssl_);
      ::close(fd);
      throw std::runtime_error("the TLS handshake failed");
    }
  }
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
}

Stream::~Stream() {
  ::SSL_free(ssl_);
  if (fd_ >= 0) ::close(fd_);
}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ssl_(std::exchange(other.ssl_, nullptr)) {}

ssize_t Stream::failed(int result) noexcept {
  switch (::SSL_get_error(ssl_, result)) {
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    default:
      errno = EPROTO;
      return -1;
  }
}

ssize_t Stream::receive(std::span<char> space) noexcept {
  if (ssl_ == nullptr) return ::recv(fd_, space.data(), space.size(), 0);
  std::size_t got = 0;
  while (got < space.size()) {
    std::size_t n = 0;
    ::ERR_clear_error();
    const int result = ::SSL_read_ex(ssl_, space.data() + got, space.size() - got, &n);
    if (result != 1) return got > 0 ? static_cast<ssize_t>(got) : failed(result);
    got += n;
  }
  return static_cast<ssize_t>(got);
}

ssize_t Stream::send(std::string_view bytes) noexcept {
  if (ssl_ == nullptr) return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::size_t sent = 0;
  ::ERR_clear_error();
  const int result = ::SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent);
  return result == 1 ? static_cast<ssize_t>(sent) : failed(result);
}

}  // namespace tokenring::bench
