#!/usr/bin/env bash
# Fixed work takes no more instructions than bench/guard/limits.txt allows. Prints "ok NAME" or "not ok NAME: why" lines.
exec "$(dirname "$0")/../../bench/guard/run" "$@"
