# What the scripts share; sourced from the top of the repository.
# shellcheck shell=bash

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Installs Debian packages that are missing. Services that come with them are not started: they would take ports, and
# run on when we are done.
need_packages() {
  local package missing=()
  for package in "$@"; do
    # kubectl is another package's where there is one already.
    [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  command -v apt-get >/dev/null || die "these are needed and there is no apt-get to install them: ${missing[*]}"
  say "installing ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d made=""
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
    made=$policy
  fi
  local status=0
  $sudo apt-get update -qq >/dev/null || say "apt-get update failed; trying with the lists that are here"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null || status=$?
  [ -z "$made" ] || $sudo rm -f "$made"
  [ $status = 0 ] || die "apt-get could not install: ${missing[*]}"
}
