// load: drives a memcached-protocol server and prints what it saw as one line of JSON.
//
// Closed loop (default): every client keeps `--pipeline` requests in flight.
// Open loop (--rate): requests become due at a fixed rate whatever the server does, and latency
// counts from when a request was due, so that a stalled server cannot hide its queue.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "load_client.hpp"
#include "load_histogram.hpp"
#include "load_stream.hpp"

namespace tokenring::bench {
namespace {

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 11211;
  std::uint32_t clients = 50;
  std::uint32_t pipeline = 1;
  double seconds = 5;
  double rate = 0;  // Requests per second over all clients; 0: closed loop.
  std::uint64_t seed = 1;
  bool tls = false;
  Workload workload;
};

std::uint64_t now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int connect_to(const Options& options) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  if (::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("--host must be an IPv4 address");
  }
  sockaddr generic{};
  std::memcpy(&generic, &address, sizeof address);
  if (::connect(fd, &generic, sizeof address) != 0) fail("connect");
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

struct Connection {
  Stream stream;
  bool wants_write = false;
  Client client;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), scratch_(std::size_t{1} << 18) {
    if (options.tls) tls_ = std::make_unique<Tls>();
    epoll_ = ::epoll_create1(0);
    if (epoll_ < 0) fail("epoll_create1");
    for (std::uint32_t i = 0; i < options.clients; ++i) {
      connections_.push_back(std::make_unique<Connection>(
          Connection{Stream(connect_to(options), tls_.get()), false,
                     Client(options.workload, tally_, fill_next_, options.seed * 1'000'003 + i)}));
      watch(*connections_.back(), EPOLL_CTL_ADD);
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() { ::close(epoll_); }

  void run() {
    start_ns_ = now_ns();
    end_ns_ = options_.workload.fill
                  ? UINT64_MAX
                  : start_ns_ + static_cast<std::uint64_t>(options_.seconds * 1e9);
    if (options_.rate == 0) {
      for (const auto& connection : connections_) top_up(*connection, start_ns_);
    }
    std::array<epoll_event, 256> events{};
    while (true) {
      const std::uint64_t now = now_ns();
      if (options_.rate > 0) send_due(now);
      if (finished(now)) break;
      const int ready =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms(now));
      if (ready < 0 && errno != EINTR) fail("epoll_wait");
      for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        Connection& connection = *connections_[event.data.u32];
        if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(connection);
        flush(connection);
      }
    }
  }

  // Non-zero when a reply was not what was asked for, or replies are missing.
  int report() const {
    std::size_t unanswered = 0;
    for (const auto& connection : connections_) unanswered += connection->client.in_flight();
    const double seconds = static_cast<double>(last_ns_ - start_ns_) / 1e9;
    const auto us = [&](double q) { return static_cast<double>(latency_.quantile(q)) / 1e3; };
    std::string first_error;
    for (const char c : tally_.first_error) {
      first_error += c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
    fmt::print(
        R"({{"requests": {}, "seconds": {:.3f}, "rate": {:.0f}, "p50_us": {:.1f}, "p99_us": {:.1f}, )"
        R"("p999_us": {:.1f}, "max_us": {:.1f}, "hits": {}, "misses": {}, "errors": {}, "wrong": {}, )"
        R"("unanswered": {}, "first_error": "{}"}})"
        "\n",
        tally_.requests, seconds, static_cast<double>(tally_.requests) / std::max(seconds, 1e-9),
        us(0.5), us(0.99), us(0.999), us(1), tally_.hits, tally_.misses, tally_.errors,
        tally_.wrong, unanswered, first_error);
    return tally_.wrong != 0 || unanswered != 0 || tally_.requests == 0 ? 1 : 0;
  }

 private:
  static constexpr std::uint64_t kDrainNs = 5'000'000'000;

  void watch(Connection& connection, int operation) {
    epoll_event event{};
    event.events = connection.wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = operation == EPOLL_CTL_ADD
                         ? static_cast<std::uint32_t>(connections_.size() - 1)
                         : index_of(connection);
    if (::epoll_ctl(epoll_, operation, connection.stream.fd(), &event) != 0) fail("epoll_ctl");
  }

  std::uint32_t index_of(const Connection& connection) const {
    std::uint32_t index = 0;
    while (connections_[index].get() != &connection) ++index;
    return index;
  }

  void top_up(Connection& connection, std::uint64_t now) {
    while (now < end_ns_ && connection.client.in_flight() < options_.pipeline) {
      if (!connection.client.compose(now)) break;
    }
    flush(connection);
  }

  void send_due(std::uint64_t now) {
    while (true) {
      const auto offset =
          static_cast<std::uint64_t>(static_cast<double>(issued_) * 1e9 / options_.rate);
      next_due_ns_ = start_ns_ + offset;
      if (next_due_ns_ > now || next_due_ns_ >= end_ns_) return;
      Connection& connection = *connections_[issued_++ % connections_.size()];
      connection.client.compose(next_due_ns_);
      flush(connection);
    }
  }

  bool finished(std::uint64_t now) const {
    for (const auto& connection : connections_) {
      if (connection->client.in_flight() != 0) return now >= end_ns_ && now - end_ns_ > kDrainNs;
    }
    return options_.workload.fill || now >= end_ns_;
  }

  int wait_ms(std::uint64_t now) const {
    if (options_.rate == 0 || next_due_ns_ >= end_ns_) return 50;
    // Below a millisecond epoll cannot wait: it polls, so that requests leave on time.
    return next_due_ns_ > now ? static_cast<int>((next_due_ns_ - now) / 1'000'000) : 0;
  }

  void receive(Connection& connection) {
    Client& client = connection.client;
    const ssize_t count = connection.stream.receive(scratch_);
    if (count == 0) throw std::runtime_error("the server closed a connection");
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      fail("recv");
    }
    client.input.append(scratch_.data(), static_cast<std::size_t>(count));
    last_ns_ = now_ns();
    while (const std::uint64_t due_ns = client.take_reply()) latency_.add(last_ns_ - due_ns);
    if (client.input_begin > 0) {
      client.input.erase(0, client.input_begin);
      client.input_begin = 0;
    }
    if (options_.rate == 0) top_up(connection, last_ns_);
  }

  void flush(Connection& connection) {
    Client& client = connection.client;
    while (client.output_begin < client.output.size()) {
      const ssize_t count =
          connection.stream.send(std::string_view(client.output).substr(client.output_begin));
      if (count < 0) {
        if (errno != EAGAIN && errno != EINTR) fail("send");
        break;
      }
      client.output_begin += static_cast<std::size_t>(count);
    }
    const bool blocked = client.output_begin < client.output.size();
    if (!blocked) {
      client.output.clear();
      client.output_begin = 0;
    }
    if (blocked != connection.wants_write) {
      connection.wants_write = blocked;
      watch(connection, EPOLL_CTL_MOD);
    }
  }

  const Options& options_;
  std::unique_ptr<Tls> tls_;  // Null: plain. Outlives the connections.
  int epoll_ = -1;
  std::vector<char> scratch_;
  Tally tally_;
  Histogram latency_;
  std::uint32_t fill_next_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::uint64_t start_ns_ = 0;
  std::uint64_t end_ns_ = 0;
  std::uint64_t last_ns_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t next_due_ns_ = 0;
};

}  // namespace
}  // namespace tokenring::bench

int main(int argc, char** argv) {
  using namespace tokenring::bench;
  Options options;
  Workload& workload = options.workload;
  std::string ratio = "1:10";
  CLI::App app{"Drives a memcached-protocol server and prints JSON: counts, rate, latency in us."};
  app.add_option("--host", options.host, "IPv4 address");
  app.add_option("--port", options.port, "TCP port");
  app.add_option("--clients", options.clients, "connections")->check(CLI::Range(1, 100'000));
  app.add_option("--pipeline", options.pipeline, "requests in flight per client")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--ratio", ratio, "sets to gets");
  app.add_option("--size", workload.value_bytes, "bytes per value");
  app.add_option("--keys", workload.keys, "distinct keys")->check(CLI::Range(1, 100'000'000));
  app.add_option("--mget", workload.keys_per_get, "keys per get")->check(CLI::Range(1, 10'000));
  app.add_option("--prefix", workload.prefix, "of every key");
  app.add_option("--seconds", options.seconds, "to run");
  app.add_option("--rate", options.rate, "open loop: requests per second over all clients");
  app.add_option("--seed", options.seed, "of the keys drawn");
  app.add_flag("--tls", options.tls, "over TLS, whatever certificate the server has");
  app.add_flag("--fill", workload.fill, "set every key once, then end");
  CLI11_PARSE(app, argc, argv);
  try {
    const std::size_t colon = ratio.find(':');
    if (colon == std::string::npos) throw std::runtime_error("--ratio is SETS:GETS");
    workload.sets = static_cast<std::uint32_t>(std::stoul(ratio.substr(0, colon)));
    workload.gets = static_cast<std::uint32_t>(std::stoul(ratio.substr(colon + 1)));
    if (workload.sets + workload.gets == 0) throw std::runtime_error("--ratio 0:0 asks nothing");
    workload.prepare();
    Load load(options);
    load.run();
    return load.report();
  } catch (const std::exception& error) {
    fmt::print(stderr, "load: {}\n", error.what());
    return 2;
  }
}
