// TlsSession: TLS on one socket, with the manners of receive() and send_pieces(), so that whoever
// reads and writes sockets hardly notices.
//
// The handshake is made in one thread, and what follows in another, never in both at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tls.hpp"

struct ssl_st;  // OpenSSL's SSL.

namespace tokenring {

class TlsSession {
 public:
  // Application data in one record at most; more is several.
  static constexpr std::size_t kRecordBytes = std::size_t{16} << 10;

  // Of the socket `fd`, which must be open for as long as the session lives. Null: there is no
  // memory.
  [[nodiscard]] static std::unique_ptr<TlsSession> of_client(
      std::shared_ptr<const TlsContext> context, int fd) noexcept;
  // `name`: what the node's certificate has to be for, a host name or an IP address; not looked at
  // where the context verifies no names. `place`: where it leads, for resumption.
  [[nodiscard]] static std::unique_ptr<TlsSession> of_node(
      std::shared_ptr<const TlsContext> context, int fd, const std::string& name,
      std::string place) noexcept;
  // Says good-bye where that is due.
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  enum class Step : std::uint8_t { kDone, kWantsRead, kWantsWrite, kFailed };
  // Goes on with the handshake until it is done or has to wait.
  [[nodiscard]] Step shake() noexcept;
  // Why the handshake or the connection failed.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] bool was_resumed() const noexcept;
  // What the peer's certificate, which was verified, says of whose it is: CN=NAME, DNS:NAME,
  // URI:ID. Empty: it showed none.
  [[nodiscard]] std::vector<std::string> peer_names() const;
  // Both directions are the kernel's by now.
  [[nodiscard]] bool is_kernels() const noexcept;

  // Reads until `space` is full or there is nothing more; the bytes read, 0 at the end, or -1 with
  // errno: EAGAIN, or EPROTO and there is a problem(). A short read says that there is no more,
  // unless has_more().
  [[nodiscard]] ssize_t receive(std::span<char> space) noexcept;
  // The end, a failure, or wants_write() is to be seen by another receive().
  [[nodiscard]] bool has_more() const noexcept { return ended_ || failed_ || wants_write_; }
  // Reading goes on when there is room to write.
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }

  // Sends the pieces, or some of their bytes; how many, or -1 with errno as above. After EAGAIN the
  // next call has to begin with the same bytes.
  [[nodiscard]] ssize_t send(std::span<const std::string_view> pieces) noexcept;

  // The node owes nothing: it has read all that it was sent.
  void rest() noexcept { unrested_bytes_ = 0; }

  // SSL_CTX_sess_set_new_cb(3).
  static int on_new_session(ssl_st* ssl, ssl_session_st* session) noexcept;

  // For the BIO: the socket itself.
  [[nodiscard]] ssize_t receive_raw(std::span<char> space) noexcept;
  [[nodiscard]] ssize_t send_raw(std::string_view bytes) noexcept;

 private:
  TlsSession(std::shared_ptr<const TlsContext> context, int fd) noexcept;

  [[nodiscard]] bool attach() noexcept;
  void fail(int kind) noexcept;
  [[nodiscard]] int why_no_data() noexcept;

  std::shared_ptr<const TlsContext> context_;
  ssl_st* ssl_ = nullptr;
  int fd_;
  bool dry_ = false;  // The socket gave less than was asked for.
  bool cut_ = false;  // The socket is at its end.
  bool ended_ = false;
  bool failed_ = false;
  bool wants_write_ = false;
  bool established_ = false;
  bool is_node_ = false;
  bool more_follows_ = false;  // While a record is written: another one does at once.
  std::size_t unrested_bytes_ = 0;
  std::string place_;
  std::string problem_;
};

}  // namespace tokenring
