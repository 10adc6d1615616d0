// A connection of the load driver: plain, or TLS without a look at the server's certificate.
#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;

namespace tokenring::bench {

// What TLS connections share.
class Tls {
 public:
  // Throws std::runtime_error.
  Tls();
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  [[nodiscard]] ssl_ctx_st* get() const noexcept { return context_; }

 private:
  ssl_ctx_st* context_;
};

class Stream {
 public:
  // Takes a connected socket that still blocks; with `tls` the handshake is made, or
  // std::runtime_error thrown. From then on it does not block.
  Stream(int fd, const Tls* tls);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  // The bytes, 0 at the end, -1 with errno. A short receive says that there is no more.
  [[nodiscard]] ssize_t receive(std::span<char> space) noexcept;
  [[nodiscard]] ssize_t send(std::string_view bytes) noexcept;

 private:
  [[nodiscard]] ssize_t failed(int result) noexcept;

  int fd_;
  ssl_st* ssl_ = nullptr;
};

}  // namespace tokenring::bench
