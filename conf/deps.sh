#!/usr/bin/env bash
# Debian 12 packages, in groups: build (the proxy), package (conf/package), test (tests/run), bench (bench/run).
#   conf/deps.sh GROUP...          install what is missing of these groups
#   conf/deps.sh --list GROUP...   print the packages that are missing, change nothing
# With nothing missing it needs neither the network nor root.
set -euo pipefail

build=(
  g++ meson ninja-build pkg-config ccache
  libasio-dev libssl-dev libxxhash-dev libfmt-dev doctest-dev libtomlplusplus-dev libcli11-dev
  libspdlog-dev libsimdjson-dev libzstd-dev libcpp-httplib-dev
  libyaml-cpp-dev nlohmann-json3-dev libcjose-dev libjansson-dev libcurl4-openssl-dev
)
test=(
  clang libclang-rt-14-dev clang-format python3 python3-cryptography git openssl
  memcached python3-pymemcache python3-pylibmc libmemcached-dev libmemcached-tools
  php-cli php-memcached libcache-memcached-fast-perl
  valgrind strace prometheus
  chromium chromium-driver python3-selenium fonts-dejavu-core  # The admin page, in a real browser.
  systemd logrotate man-db mandoc python3-yaml dpkg-dev
)
# A root made by debootstrap has no /etc/hosts. Certificates are tested by the name localhost.
getent hosts localhost >/dev/null || test+=(libnss-myhostname)
package=(build-essential debhelper)
bench=(python3 openssl git memcached nutcracker haproxy linux-perf valgrind libbenchmark-dev)

list_only=
wanted=()
for argument in "$@"; do
  case $argument in
    --list) list_only=1 ;;
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    package) wanted+=("${package[@]}") ;;
    *) sed -n '2,5s/^# *//p' "$0" >&2; exit 2 ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || { sed -n '2,5s/^# *//p' "$0" >&2; exit 2; }

if ! command -v dpkg-query >/dev/null; then
  echo "deps: this is not Debian; install the equivalents of: ${wanted[*]}" >&2
  exit 0
fi

installed=" $(dpkg-query -W -f='${db:Status-Status} ${Package} ' 2>/dev/null) "
missing=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do
  [[ $installed == *" installed $package "* ]] || missing+=("$package")
done
if [ -n "$list_only" ]; then
  [ ${#missing[@]} -eq 0 ] || printf '%s\n' "${missing[@]}"
  exit 0
fi
[ ${#missing[@]} -gt 0 ] || exit 0

echo "deps: missing: ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: neither root nor sudo here; as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# memcached, nutcracker, haproxy and prometheus come with services that would take port 11211 and others:
# a policy for the time of the installation keeps them from being started.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >&2
}
apt update || { echo "deps: apt-get update failed (no network?)" >&2; exit 1; }
apt install --no-install-recommends "${missing[@]}" ||
  { echo "deps: apt-get install failed" >&2; exit 1; }
