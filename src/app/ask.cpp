#include "app/ask.hpp"

#include "io/handover.hpp"

namespace tokenring {

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

  const auto socket = connect_to_control(name);
  if (!socket && !config) {
    errors << config.error() << '\n';
    return 1;
  }
  if (!socket) return fail(name + ": " + socket.error().message());
  const auto answer = ask_control(socket->get(), command);
  if (!answer) return fail(name + ": " + answer.error().message());
  if (!answer->starts_with("ok")) {
    errors << (answer->empty() ? "tokenring: no answer\n" : *answer);
    return 1;
  }
  out << *answer;
  return 0;
}

}  // namespace tokenring
