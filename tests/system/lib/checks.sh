# shellcheck shell=bash
# What the programs of tests/system have in common: a work directory, verdicts, waiting. Sourced from the root of the tree.

work=$(mktemp -d)
chmod 755 "$work"
log=$work/log # of what is tested; its end is shown when a check fails
failures=0

# verdict NAME STATUS WHY
verdict() {
  if [ "$2" = 0 ]; then
    echo "ok $1"
  else
    echo "not ok $1: $3"
    failures=$((failures + 1))
    sed 's/^/  | /' "$log" 2>/dev/null | tail -n 30
  fi
}

# check NAME COMMAND...: the command's success is the verdict, what it prints the reason.
check() {
  local name=$1 status
  shift
  "$@" >"$work/why"
  status=$?
  verdict "$name" $status "$* -> $(head -c 2000 "$work/why")"
}

# same NAME FOUND WANTED
same() {
  [ "$2" = "$3" ]
  verdict "$1" $? "found '$2', wanted '$3'"
}

# between NAME FOUND MIN MAX
between() {
  [ -n "$2" ] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]
  verdict "$1" $? "found '$2', wanted $3 to $4"
}

# within SECONDS COMMAND...: repeats it until it succeeds.
within() {
  local tries=$(($1 * 50))
  shift
  while ! "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.02
  done
}
