#include "io/control.hpp"

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/read_until.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <csignal>

#include "io/handover.hpp"

namespace tokenring {

namespace {

using Local = asio::local::stream_protocol;

constexpr std::chrono::milliseconds kAcceptPause{100};

// When nobody waits for a signal any more, Asio gives it its default back, by which these would end
// the process: so somebody waits for them to the very end.
void keep_from_ending() {
  static auto* const context = new asio::io_context;
  static auto* const signals = new asio::signal_set(*context, SIGHUP, SIGUSR1);
  static_cast<void>(signals);
}

}  // namespace

struct Control::State {
  explicit State(ControlHandlers given) : handlers(std::move(given)) {
    signals.add(SIGUSR1);
    keep_from_ending();
  }

  void await_signal();
  void await_second();
  void accept();

  ControlHandlers handlers;
  std::size_t sessions = 0;  // Before the context, with which the last of them end.
  bool in_takeover = false;
  asio::io_context context{1};
  asio::signal_set signals{context, SIGHUP, SIGINT, SIGTERM};
  asio::steady_timer second{context};
  asio::steady_timer accept_again{context};
  Local::acceptor acceptor{context};
};

// One connection to the control socket. Lives as long as something of it is awaited.
class Control::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(State& state, Local::socket socket)
      : state_(state), socket_(std::move(socket)), deadline_(state.context) {
    ++state_.sessions;
  }
  ~Session() {
    --state_.sessions;
    if (takes_over_) state_.in_takeover = false;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    if (!is_trusted_peer(socket_.native_handle())) return finish("error: not allowed\n");
    await_line(kRequestMs, [self = shared_from_this()](std::string_view line) {
      if (line == "takeover") return self->hand_over();
      self->state_.handlers.on_command(line, text_of(describe_peer(self->socket_.native_handle())),
                                       [self](const std::string& text) { self->finish(text); });
    });
  }

 private:
  // Short, and the first that is written: the socket takes it at once.
  void finish(const std::string& text) {
    std::error_code ignored;
    asio::write(socket_, asio::buffer(text), ignored);
    socket_.close(ignored);
  }

  void await_line(std::int64_t ms, std::function<void(std::string_view)> then) {
    deadline_.expires_after(std::chrono::milliseconds(ms));
    deadline_.async_wait([self = shared_from_this()](const std::error_code& error) {
      std::error_code ignored;
      if (!error) self->socket_.close(ignored);
    });
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, kLineBytesMax), '\n',
                           [self = shared_from_this(), then = std::move(then)](
                               const std::error_code& error, std::size_t size) {
                             self->deadline_.cancel();
                             if (error) return;
                             const std::string line = self->input_.substr(0, size - 1);
                             self->input_.erase(0, size);
                             then(line);
                           });
  }

  void hand_over() {
    if (state_.in_takeover) return finish("error: another process is taking over\n");
    const std::vector<int> sockets = state_.handlers.on_takeover();
    if (sockets.empty()) return finish("error: this process is on its way out\n");
    takes_over_ = state_.in_takeover = true;
    if (const auto error = send_sockets(socket_.native_handle(), sockets))
      return finish("error: " + error.message() + "\n");
    await_line(kTakeoverMs, [self = shared_from_this()](std::string_view line) {
      if (line != "go") return;
      // The successor will listen at the same name.
      std::error_code ignored;
      self->state_.acceptor.close(ignored);
      self->state_.handlers.on_taken_over(peer_of(self->socket_.native_handle()));
      self->finish("ok\n");
    });
  }

  State& state_;
  Local::socket socket_;
  asio::steady_timer deadline_;
  std::string input_;
  bool takes_over_ = false;
};

void Control::State::await_signal() {
  signals.async_wait([this](const std::error_code& error, int signal) {
    if (error) return;
    await_signal();
    handlers.on_signal(signal);
  });
}

void Control::State::await_second() {
  second.expires_after(std::chrono::seconds(1));
  second.async_wait([this](const std::error_code& error) {
    if (error) return;
    await_second();
    handlers.on_second();
  });
}

void Control::State::accept() {
  acceptor.async_accept([this](const std::error_code& error, Local::socket socket) {
    if (!acceptor.is_open()) return;
    if (!error && sessions < kSessionsMax)
      std::make_shared<Session>(*this, std::move(socket))->start();
    if (!error) return accept();
    // Descriptors are short: to ask again at once would only spin.
    accept_again.expires_after(kAcceptPause);
    accept_again.async_wait([this](const std::error_code& cancelled) {
      if (!cancelled) accept();
    });
  });
}

Control::Control(ControlHandlers handlers) : state_(std::make_unique<State>(std::move(handlers))) {
  state_->await_signal();
  state_->await_second();
}

Control::~Control() {
  // A successor has closed it, and has its own by now.
  if (state_->acceptor.is_open())
    remove_socket_file(bound_endpoint(state_->acceptor.native_handle()));
}

std::error_code Control::listen(const std::string& name) {
  auto fd = listen_for_control(name);
  if (!fd) return fd.error();
  std::error_code error;
  state_->acceptor.assign(Local(), fd->release(), error);
  if (!error) state_->accept();
  return error;
}

void Control::run() {
  state_->context.run();
}

void Control::end() {
  state_->context.stop();
}

bool Control::is_in_takeover() const {
  return state_->in_takeover;
}

void Control::post(std::function<void()> task) {
  asio::post(state_->context, std::move(task));
}

void Control::after(std::int64_t ms, std::function<void()> task) {
  const auto timer = std::make_shared<asio::steady_timer>(state_->context);
  timer->expires_after(std::chrono::milliseconds(ms));
  timer->async_wait([timer, task = std::move(task)](const std::error_code& error) {
    if (!error) task();
  });
}

}  // namespace tokenring
