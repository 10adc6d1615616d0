#include "app/top.hpp"

#include <fmt/format.h>
#include <httplib.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "app/address.hpp"
#include "app/admin_token.hpp"
#include "app/read_file.hpp"
#include "app/top_view.hpp"
#include "io/socket.hpp"
#include "io/tls.hpp"

namespace tokenring {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kAnswerBytesMax = std::size_t{16} << 20;
constexpr int kAnswerSeconds = 5;

// Where to connect for what listens there.
std::string reachable(std::string host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

// Whom to believe that it is the admin port, where that has TLS.
struct Trust {
  std::string file;  // PEM: who signed its certificate, or that itself. Empty: it has no TLS.
  bool names_host = false;  // Whether the certificate must be for the host, too.
};

// The admin port of a process.
class Source {
 public:
  Source(const Address& address, std::string token, bool has_tls) {
    const bool is_unix = address.kind == Address::Kind::kUnix;
    host_ = is_unix ? address.path : reachable(address.host);
    const int port = is_unix ? 80 : address.port;
    if (has_tls) {
      auto client = std::make_unique<httplib::SSLClient>(host_, port);
      tls_ = client->ssl_context();
      client_ = std::move(client);
      client_->enable_server_certificate_verification(false);  // See check_peers().
    } else {
      client_ = std::make_unique<httplib::ClientImpl>(host_, port);
    }
    if (is_unix) client_->set_address_family(AF_UNIX);
    client_->set_connection_timeout(kAnswerSeconds);
    client_->set_read_timeout(kAnswerSeconds);
    headers_.emplace("Host", "localhost");
    if (!token.empty()) headers_.emplace("Authorization", "Bearer " + token);
  }

  // REQUIRES: it has TLS. What is wrong with the file, in a line; empty: nothing.
  [[nodiscard]] std::string trust(const Trust& trust) {
    const auto certificates = read_pem(trust.file);
    if (!certificates) return certificates.error();
    const std::string problem =
        check_peers(tls_, *certificates, trust.names_host ? host_ : std::string());
    return problem.empty() ? problem : fmt::format("{}: {}", trust.file, problem);
  }

  Result<StatusReading, std::string> read() {
    std::string body;
    const auto answer =
        client_->Get("/status.json", headers_, [&](const char* data, std::size_t n) {
          body.append(data, n);
          return body.size() <= kAnswerBytesMax;
        });
    if (!answer) return unexpected(why_none(answer.error()));
    if (answer->status == 401)
      return unexpected(std::string("it asks for a token; give --token-file"));
    if (answer->status != 200)
      return unexpected(fmt::format("it answers with status {}", answer->status));
    return read_status(body);
  }

 private:
  [[nodiscard]] std::string why_none(httplib::Error error) const {
    if (error == httplib::Error::Connection) return "nobody answers";
    if (error == httplib::Error::SSLConnection)
      return "there is no TLS, or its certificate is not the one to be believed";
    if (tls_ != nullptr) return "it ends the connection; does it ask for a certificate?";
    return "what answers there is no admin port, or one with TLS, which needs --ca";
  }

  std::string host_;
  std::unique_ptr<httplib::ClientImpl> client_;
  ssl_ctx_st* tls_ = nullptr;
  httplib::Headers headers_;
};

// The last reading and the one before it, which is of the same process.
class Readings {
 public:
  void add(StatusReading reading) {
    before_.reset();
    if (last_ && last_->started_s == reading.started_s) before_ = std::move(last_);
    const Clock::time_point now = Clock::now();
    seconds_ = std::chrono::duration<double>(now - at_).count();
    at_ = now;
    last_ = std::move(reading);
  }
  [[nodiscard]] TopView view() const {
    return {.now = *last_, .before = before_ ? &*before_ : nullptr, .seconds = seconds_};
  }

 private:
  std::optional<StatusReading> last_;
  std::optional<StatusReading> before_;
  Clock::time_point at_;
  double seconds_ = 0;
};

// A terminal that is drawn on, as it was again when this ends. Signals come as bytes meanwhile.
class Terminal {
 public:
  Terminal() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) ::sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    put("\x1b[?1049h\x1b[?25l");
  }
  ~Terminal() {
    put("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // `screen`: lines; they take the place of those that are there.
  void draw(const std::string& screen) {
    std::string text = "\x1b[H";
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = screen.find('\n', begin)) != std::string::npos;) {
      if (begin > 0) text += '\n';
      text += screen.substr(begin, end - begin) + "\x1b[K";
      begin = end + 1;
    }
    put(text + "\x1b[J");
  }

  enum class Event : std::uint8_t { kTime, kResize, kEnd };
  Event wait_until(Clock::time_point when) {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count();
      if (left <= 0) return Event::kTime;
      pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
      if (::poll(ready, 2, static_cast<int>(left)) <= 0) continue;
      signalfd_siginfo signal{};
      if (::read(signals_.get(), &signal, sizeof signal) == sizeof signal)
        return signal.ssi_signo == SIGWINCH ? Event::kResize : Event::kEnd;
      char key = 0;
      if (ready[0].revents != 0 && (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
        return Event::kEnd;
    }
  }

 private:
  static void put(std::string_view text) {
    while (!text.empty()) {
      const ssize_t taken = ::write(STDOUT_FILENO, text.data(), text.size());
      if (taken <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(taken));
    }
  }

  termios before_{};
  Fd signals_;
};

void draw(Terminal& terminal, TopView view, std::string_view problem) {
  winsize size{};
  ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  view.columns = size.ws_col > 0 ? size.ws_col : 80;
  view.rows = size.ws_row > 0 ? size.ws_row : 24;
  view.colours = true;
  std::string screen;
  if (!problem.empty()) {
    screen = fmt::format("\x1b[31m{}; trying again\x1b[0m\n", problem.substr(0, view.columns - 20));
    --view.rows;
  }
  terminal.draw(screen + top_screen(view));
}

void run_screen(Source& source, Readings& readings, Clock::duration interval) {
  Terminal terminal;
  std::string problem;
  auto next = Clock::now() + std::min<Clock::duration>(interval, std::chrono::seconds(1));
  for (;;) {
    draw(terminal, readings.view(), problem);
    const Terminal::Event event = terminal.wait_until(next);
    if (event == Terminal::Event::kEnd) return;
    if (event == Terminal::Event::kResize) continue;
    auto reading = source.read();
    problem = reading ? "" : reading.error();
    if (reading) readings.add(*std::move(reading));
    next = Clock::now() + interval;
  }
}

// What --ca says; else, for the port that the file names, the certificate that the file gives it.
Trust whom_to_trust(const TopOptions& options, const Config& config) {
  if (!options.authorities.empty()) return {.file = options.authorities, .names_host = true};
  const TlsConfig* const own =
      options.admin.empty() ? tls_named(config, config.admin.tls) : nullptr;
  return own == nullptr ? Trust() : Trust{.file = own->certificate.path};
}

}  // namespace

int top(const TopOptions& options, const Config& config, std::ostream& out, std::ostream& errors) {
  const auto fail = [&](std::string_view text) {
    errors << "tokenring: " << text << '\n';
    return 1;
  };
  std::string place = options.admin.empty() ? config.admin.listen : options.admin;
  if (place.empty())
    return fail("there is no admin port; give --admin, or -c with a file that has admin.listen");
  if (place.find_first_not_of("0123456789") == std::string::npos) place = "127.0.0.1:" + place;
  const auto address = parse_listen_address(place);
  if (!address) return fail("--admin: " + address.error());
  Config known = config;
  known.admin.listen = place;
  if (!options.token_file.empty()) {
    known.admin.token_file = options.token_file;
    known.admin.token_at = "--token-file";
  }
  const auto token = read_admin_token(known);
  if (!token) return fail(token.error());

  const Trust trust = whom_to_trust(options, config);
  Source source(*address, *token, !trust.file.empty());
  if (!trust.file.empty())
    if (const std::string problem = source.trust(trust); !problem.empty()) return fail(problem);
  Readings readings;
  auto reading = source.read();
  if (!reading) return fail(fmt::format("{}: {}", place, reading.error()));
  readings.add(*std::move(reading));
  const auto interval = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(options.interval_s));
  if (!options.once && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1) {
    run_screen(source, readings, interval);
    return 0;
  }
  // Rates need another reading.
  std::this_thread::sleep_for(interval);
  if (reading = source.read(); !reading) return fail(fmt::format("{}: {}", place, reading.error()));
  readings.add(*std::move(reading));
  TopView view = readings.view();
  view.columns = 100;
  out << top_screen(view);
  return 0;
}

}  // namespace tokenring
