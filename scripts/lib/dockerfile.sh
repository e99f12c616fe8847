# Reads the Dockerfile for the checks; sourced from the top of the repository.
# shellcheck shell=bash

# instructions [STAGE]: one instruction a line, continuation lines joined, comments and empty lines left out. With a
# number, only that stage's, counted from 1; the FROM that begins it is its first.
instructions() {
  awk -v wanted="${1:-0}" '
    /^[[:space:]]*(#|$)/ { next }
    { line = line $0 }
    /\\$/ { sub(/\\$/, "", line); next }
    {
      gsub(/[[:space:]]+/, " ", line)
      if (line ~ /^FROM /) stage++
      if (wanted == 0 || stage == wanted) print line
      line = ""
    }' Dockerfile
}

# json_words ARRAY: the words of an exec form, one a line.
json_words() { jq -r '.[]' <<<"$1"; }
