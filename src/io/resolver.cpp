#include "io/resolver.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

namespace tokenring {

namespace {

// A name whose servers do not answer takes its thread for half a minute; others go on meanwhile.
constexpr std::size_t kThreadsMax = 8;

using Found = Result<std::vector<std::string>, std::string>;

std::string text_of(const addrinfo& info) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(info.ai_addr, info.ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {};
  if (info.ai_family == AF_INET6) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

}  // namespace

Found look_up(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return unexpected(std::string("has no port"));
  const std::string host = address.substr(0, colon);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &list);
  if (failure != 0) {
    return unexpected(failure == EAI_SYSTEM
                          ? std::error_code(errno, std::system_category()).message()
                          : std::string(::gai_strerror(failure)));
  }
  std::vector<std::string> found;
  for (const addrinfo* info = list; info != nullptr; info = info->ai_next) {
    std::string text = text_of(*info);
    if (!text.empty() && std::find(found.begin(), found.end(), text) == found.end())
      found.push_back(std::move(text));
  }
  ::freeaddrinfo(list);
  if (found.empty()) return unexpected(std::string("has no address"));
  return found;
}

struct Resolver::State {
  std::mutex mutex;
  Done done;  // Empty once the resolver is gone.
  std::deque<std::string> queue;
  std::set<std::string> asked;  // Queued or being looked up.
  std::size_t threads = 0;

  void work() {
    std::unique_lock lock(mutex);
    while (done && !queue.empty()) {
      const std::string address = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      const Found found = look_up(address);
      lock.lock();
      asked.erase(address);
      if (done) done(address, found);
    }
    --threads;
  }
};

Resolver::Resolver(Done done) : state_(std::make_shared<State>()) {
  state_->done = std::move(done);
}

Resolver::~Resolver() {
  const std::lock_guard lock(state_->mutex);
  state_->done = nullptr;
}

void Resolver::ask(const std::string& address) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->asked.insert(address).second) return;
  state_->queue.push_back(address);
  if (state_->threads == kThreadsMax) return;
  try {
    std::thread([state = state_] { state->work(); }).detach();
    ++state_->threads;  // Before it can go on, as the lock is held.
  } catch (const std::system_error& error) {
    if (state_->threads > 0) return;  // Those that are there take it.
    state_->queue.clear();            // Only this one waits, as nobody else is there.
    state_->asked.clear();
    state_->done(address, unexpected(std::string("no thread: ") + error.what()));
  }
}

void FailedPlaces::add(std::string_view place) noexcept {
  const std::lock_guard lock(mutex_);
  if (places_.size() == kMax || std::find(places_.begin(), places_.end(), place) != places_.end())
    return;
  places_.emplace_back(place);
}

std::vector<std::string> FailedPlaces::take() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(places_, {});
}

}  // namespace tokenring
