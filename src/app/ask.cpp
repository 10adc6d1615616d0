#include "app/ask.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "io/handover.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kWhoMayAsk = "only root and the process's user may ask";

// `name` of a control socket as the operator knows it.
std::string place_of(std::string_view name) {
  constexpr std::string_view kAbstract = "@tokenring/";
  return std::string(name.starts_with(kAbstract) ? name.substr(kAbstract.size()) : name);
}

std::string why_not_connected(std::string_view name, const std::error_code& error) {
  if (error == std::errc::permission_denied)
    return fmt::format("{}: {}", place_of(name), kWhoMayAsk);
  if (error == std::errc::connection_refused || error == std::errc::no_such_file_or_directory)
    return fmt::format(
        "nobody serves at {}; give the -c, or the first --listen, that it was started with",
        place_of(name));
  return fmt::format("{}: {}", place_of(name), error.message());
}

Result<std::string, std::string> ask_at(const std::string& name, std::string_view command) {
  const auto socket = connect_to_control(name);
  if (!socket) return unexpected(why_not_connected(name, socket.error()));
  const auto answer = ask_control(socket->get(), command);
  if (!answer) return unexpected(fmt::format("{}: {}", place_of(name), answer.error().message()));
  if (answer->starts_with("error: not allowed"))
    return unexpected(fmt::format("{}: {}", place_of(name), kWhoMayAsk));
  return *answer;
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(a, error);
  return !error && real == std::filesystem::weakly_canonical(b, error) && !error;
}

// What is wrong with a wish to reload `file`: the process reads its own again, whatever -c says.
// Empty: nothing, or that is not known.
std::string not_its_file(const std::string& name, const std::string& file) {
  const auto status = ask_at(name, "status");
  constexpr std::string_view kLine = "\nconfig ";
  const std::size_t at = status ? status->find(kLine) : std::string::npos;
  if (at == std::string::npos) return {};
  const std::size_t begin = at + kLine.size();
  const std::string own = status->substr(begin, status->find('\n', begin) - begin);
  if (!own.starts_with('/') || is_same_file(own, file)) return {};
  return fmt::format("the process at {} reads {}, not {}; nothing was reloaded", place_of(name),
                     own, file);
}

}  // namespace

int ask(const CommandLine& line, std::string_view command, std::ostream& out,
        std::ostream& errors) {
  const auto fail = [&](const std::string& text) {
    errors << "tokenring: " << text << '\n';
    return 1;
  };
  // A file that has errors by now still tells where the process is that has to refuse it.
  auto config = effective_config(line);
  if (!config && line.config_file.empty()) return fail(config.error());
  Config known = config ? *config : config_despite_errors(line.config_file);
  if (!line.listen.empty()) known.listen = line.listen;
  const std::string name = control_name(known);
  if (name.empty()) return fail("the process has no control socket; see control");

  if (command == "reload" && !line.config_file.empty())
    if (const std::string error = not_its_file(name, line.config_file); !error.empty())
      return fail(error);
  const auto answer = ask_at(name, command);
  if (!answer && !config) {
    errors << config.error() << '\n';
    return 1;
  }
  if (!answer) return fail(answer.error());
  if (!answer->starts_with("ok")) {
    errors << (answer->empty() ? "tokenring: no answer\n" : *answer);
    return 1;
  }
  out << *answer;
  return 0;
}

}  // namespace tokenring
