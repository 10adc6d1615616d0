#include "io/port.hpp"

#include <sys/socket.h>

#include <array>
#include <asio/executor_work_guard.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/ssl.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <exception>
#include <future>
#include <list>
#include <thread>

#include "io/log.hpp"

namespace tokenring {

namespace {

using Socket = asio::generic::stream_protocol::socket;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::size_t kAcceptsAtOnce = 16;
constexpr std::size_t kReadBytes = 2048;

}  // namespace

struct Port::State {
  explicit State(Handler given) : handler(std::move(given)) {}

  void run() noexcept;
  void await_connection();
  void accept_some();
  void pause();

  Handler handler;
  std::shared_ptr<const TlsContext> tls;
  // Those that were not cut, the oldest first: without a whole request, and with one. Before the
  // context, with which the last of them end.
  std::list<Session*> reading;
  std::list<Session*> answering;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::posix::stream_descriptor listener{context};
  int family = 0;
  asio::steady_timer accept_again{context};
  std::thread thread;
};

// One connection. Lives as long as something of it is awaited.
class Port::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(State& state, Socket socket)
      : state_(state),
        socket_(std::move(socket)),
        caller_{.address = text_of(describe_peer(socket_.native_handle()))},
        deadline_(state.context),
        list_(&state.reading),
        place_(list_->insert(list_->end(), this)) {
    if (state.tls == nullptr) return;
    ::SSL_CTX_up_ref(state.tls->get());
    context_.emplace(state.tls->get());
    tls_.emplace(socket_, *context_);
    SSL_set_mode(tls_->native_handle(), SSL_MODE_AUTO_RETRY);
  }
  ~Session() { leave(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    arm(kRequestMs);
    if (!tls_) return read();
    tls_->async_handshake(asio::ssl::stream_base::server,
                          [self = shared_from_this()](const std::error_code& error) {
                            if (error) return self->cut();
                            self->caller_.is_known = self->shows_certificate();
                            self->read();
                          });
  }

  // All that is awaited ends, and with it the session.
  void cut() {
    leave();
    std::error_code ignored;
    socket_.close(ignored);
    deadline_.cancel();
  }

 private:
  // One that was not good would have ended the handshake.
  bool shows_certificate() { return ::SSL_get0_peer_certificate(tls_->native_handle()) != nullptr; }

  // With the stream that is read and written.
  template <typename F>
  void on_stream(F&& use) {
    if (tls_)
      use(*tls_);
    else
      use(socket_);
  }

  void leave() {
    if (list_ != nullptr) list_->erase(place_);
    list_ = nullptr;
  }

  void arm(std::int64_t ms) {
    deadline_.expires_after(std::chrono::milliseconds(ms));
    deadline_.async_wait([self = shared_from_this()](const std::error_code& error) {
      if (!error && self->deadline_.expiry() <= Clock::now()) self->cut();
    });
  }

  void read() {
    on_stream([this](auto& stream) {
      stream.async_read_some(
          asio::buffer(piece_),
          [self = shared_from_this()](const std::error_code& error, std::size_t size) {
            if (error) return self->cut();
            self->take({self->piece_.data(), size});
          });
    });
  }

  void take(std::string_view bytes) {
    received_ += bytes.substr(0, kRequestBytesMax - received_.size());
    const bool is_full = received_.size() == kRequestBytesMax;
    std::optional<std::string> answer = state_.handler(received_, is_full, caller_);
    if (!answer && !is_full) return read();
    if (!answer || answer->empty()) return cut();
    state_.answering.splice(state_.answering.end(), state_.reading, place_);
    list_ = &state_.answering;
    answer_ = *std::move(answer);
    arm(kAnswerMs);
    on_stream([this](auto& stream) {
      asio::async_write(stream, asio::buffer(answer_),
                        [self = shared_from_this()](const std::error_code& error, std::size_t) {
                          if (error) return self->cut();
                          self->linger();
                        });
    });
  }

  // To close with bytes unread would reset the connection, and take the answer with it.
  void linger() {
    answer_ = {};
    received_ = {};
    std::error_code ignored;
    arm(kLingerMs);
    if (tls_) {
      tls_->async_shutdown([self = shared_from_this()](const std::error_code&) { self->cut(); });
      return;
    }
    socket_.shutdown(Socket::shutdown_send, ignored);
    drop(0);
  }

  void drop(std::size_t dropped) {
    socket_.async_read_some(
        asio::buffer(piece_),
        [self = shared_from_this(), dropped](const std::error_code& error, std::size_t size) {
          if (error || dropped + size > kLingerBytesMax) return self->cut();
          self->drop(dropped + size);
        });
  }

  State& state_;
  Socket socket_;
  Caller caller_;
  std::optional<asio::ssl::context> context_;
  std::optional<asio::ssl::stream<Socket&>> tls_;  // Nothing: plain.
  asio::steady_timer deadline_;
  std::list<Session*>* list_;  // Null: it was cut.
  std::list<Session*>::iterator place_;
  std::array<char, kReadBytes> piece_;
  std::string received_;
  std::string answer_;
};

// What is thrown (there is no memory) ends the connection whose handler it was.
void Port::State::run() noexcept {
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& error) {
      log_event(LogLevel::kError, LogEvent::kAdmin, "a request was given up: {}", error.what());
    }
  }
}

void Port::State::await_connection() {
  listener.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this](const std::error_code& error) {
                        if (!error && listener.is_open()) accept_some();
                      });
}

// A few at a time, so that those before them are read before they have to make room.
void Port::State::accept_some() {
  for (std::size_t i = 0; i < kAcceptsAtOnce; ++i) {
    Fd fd(::accept4(listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd && would_block()) return await_connection();
    if (!fd && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!fd) return pause();
    if (reading.size() + answering.size() >= kConnectionsMax)
      (reading.empty() ? answering : reading).front()->cut();
    Socket socket(context);
    std::error_code error;
    socket.assign(asio::generic::stream_protocol(family, 0), fd.get(), error);
    if (error) continue;
    (void)fd.release();
    std::make_shared<Session>(*this, std::move(socket))->start();
  }
  await_connection();
}

// Descriptors are short: to ask again at once would only spin.
void Port::State::pause() {
  accept_again.expires_after(kAcceptPause);
  accept_again.async_wait([this](const std::error_code& cancelled) {
    if (!cancelled && listener.is_open()) accept_some();
  });
}

Port::Port(Handler handler) : state_(std::make_unique<State>(std::move(handler))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Port::~Port() {
  state_->context.stop();
  state_->thread.join();
}

std::error_code Port::listen(const Endpoint& endpoint, std::optional<mode_t> mode) {
  auto fd = listen_on(endpoint, false, mode);
  if (!fd) return fd.error();
  post([state = state_.get(), number = fd->release(), family = endpoint.family()] {
    std::error_code ignored;
    state->listener.assign(number, ignored);
    state->family = family;
    state->await_connection();
  });
  return {};
}

void Port::set_tls(std::shared_ptr<const TlsContext> tls) {
  post([state = state_.get(), tls = std::move(tls)]() mutable { state->tls = std::move(tls); });
}

void Port::close() {
  std::promise<void> done;
  post([&] {
    std::error_code ignored;
    state_->listener.close(ignored);
    state_->accept_again.cancel();
    done.set_value();
  });
  done.get_future().wait();
}

void Port::post(std::function<void()> task) {
  asio::post(state_->context, std::move(task));
}

}  // namespace tokenring
