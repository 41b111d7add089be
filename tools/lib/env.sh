# Helpers that the scripts of this tree share; sourced, never run. Bash, under set -euo pipefail.
# shellcheck shell=bash

RN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck disable=SC2034 # for the scripts
RN_BASE_IMAGE=debian:trixie
RN_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt

# rn_say TEXT: progress, on stderr.
rn_say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# rn_die TEXT: says why and ends the script with 1.
rn_die() { rn_say "$*"; exit 1; }

# rn_need_docker: ends the script unless a Docker daemon answers.
rn_need_docker() {
  command -v docker >/dev/null || rn_die 'docker is not installed (and this is not a Debian 13 with the packages of tools/deps)'
  docker version >/dev/null 2>&1 || rn_die 'the Docker daemon does not answer: start it, or run as a user who may use it'
}

# rn_mirror [LABEL]: the Debian archive that this machine's apt uses; LABEL Debian-Security for that of security
# updates. Empty where apt knows none. RPCNET_MIRROR and RPCNET_SECURITY_MIRROR override.
rn_mirror() {
  local label=${1:-Debian} given=${RPCNET_MIRROR:-}
  [ "$label" = Debian ] || given=${RPCNET_SECURITY_MIRROR:-}
  if [ -n "$given" ] || ! command -v apt-get >/dev/null; then
    printf '%s\n' "$given"
    return
  fi
  apt-get indextargets --format "\$(SITE)" 'Created-By: Packages' 'Origin: Debian' "Label: $label" 2>/dev/null |
    awk 'NR == 1'
}

# rn_hash: 12 hex digits over stdin.
rn_hash() { sha256sum | cut -c 1-12; }

# rn_env_image STAGE: the name of a stage of docker/Dockerfile.dev (build, test, interop). A change of what it is made
# from changes the name, and so makes it anew.
rn_env_image() {
  local sections=(build)
  case $1 in test) sections+=(test) ;; interop) sections+=(test interop) ;; esac
  printf 'rpcnet-%s:' "$1"
  { cat "$RN_ROOT/docker/apt" "$RN_ROOT/docker/Dockerfile.dev" && "$RN_ROOT/docker/apt" --print "${sections[@]}"; } | rn_hash
}

# rn_own_ca: the CA bundle that containers which download need, empty where the distribution's own will do.
rn_own_ca() {
  if [ -n "${SSL_CERT_FILE:-}" ] && [ -f "$SSL_CERT_FILE" ]; then
    printf '%s\n' "$SSL_CERT_FILE"
  elif compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null && [ -f "$RN_CA_BUNDLE" ]; then
    printf '%s\n' "$RN_CA_BUNDLE"
  fi
}

# rn_proxy_args: build arguments for the proxy that this machine's apt uses, one a line.
rn_proxy_args() {
  local proxy
  proxy=$(apt-config dump --format '%v' Acquire::http::Proxy 2>/dev/null || true)
  [ -z "$proxy" ] || printf -- '--build-arg\nhttp_proxy=%s\n' "$proxy"
}

rn_image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# rn_docker_build TAG ARG...: docker build with ARGs, quietly unless it fails.
rn_docker_build() {
  local tag=$1 log start=$SECONDS args=()
  shift
  mapfile -t args < <(rn_proxy_args)
  docker buildx version >/dev/null 2>&1 || args+=(--force-rm) # the legacy builder leaves the container of a failed step
  log=$(mktemp)
  if ! docker build -t "$tag" "${args[@]}" "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    rn_die "building $tag failed"
  fi
  rm -f "$log"
  rn_say "made $tag in $((SECONDS - start)) s"
}

# rn_locked COMMAND...: one at a time on this machine, so that scripts started together make an image once.
rn_locked() {
  local lock
  lock=${TMPDIR:-/tmp}/rpcnet-env-$(id -u).lock
  (
    flock 9
    "$@"
  ) 9>"$lock"
}

rn_make_env() {
  local stage=$1 tag=$2 base
  rn_image_exists "$tag" && return
  base=$("$RN_ROOT/docker/base-image" build) || return
  case $stage in
  build) rn_say "making the build environment $tag (once)" ;;
  test) rn_say "making the test environment $tag (about 2 minutes, once)" ;;
  interop) rn_say "adding the tools of the reference peers: $tag (about 2 minutes, once)" ;;
  esac
  rn_docker_build "$tag" --target "$stage" -f "$RN_ROOT/docker/Dockerfile.dev" --build-arg "BASE=$base" \
    --build-arg "MIRROR=$(rn_mirror)" --build-arg "SECURITY_MIRROR=$(rn_mirror Debian-Security)" "$RN_ROOT/docker"
}

# rn_env STAGE: makes the image of the stage if it is not there, and prints its name.
rn_env() {
  local tag larger
  # The test environment can do all that the build environment can.
  if [ "$1" = build ]; then
    larger=$(rn_env_image test)
    if rn_image_exists "$larger"; then
      echo "$larger"
      return
    fi
  fi
  tag=$(rn_env_image "$1")
  rn_image_exists "$tag" || rn_locked rn_make_env "$1" "$tag" >&2 || return
  echo "$tag"
}

rn_is_trixie() { (. /etc/os-release && [ "${ID:-}${VERSION_ID:-}" = debian13 ]) 2>/dev/null; }

# rn_is_native STAGE: true where commands of that stage of the environment can be run directly.
rn_is_native() {
  local tools=(meson ninja clang bpftool)
  case ${RPCNET_NATIVE:-} in 1) return 0 ;; 0) return 1 ;; esac
  [ -n "${RPCNET_IN_ENV:-}" ] && return 0
  rn_is_trixie || return
  case $1 in test) tools+=(shellcheck valgrind) ;; interop) tools+=(shellcheck valgrind cargo cmake) ;; esac
  command -v "${tools[@]}" >/dev/null &&
    pkgconf --exists libdpdk libngtcp2_crypto_ossl libfyaml yyjson cmocka libbpf libuv 2>/dev/null
}

# rn_build NAME: makes build/NAME (debug: gcc, ASan and UBSan; clang; release: LTO, symbols kept), set up if it is not
# there. Shows what is wrong and returns non-zero where it does not build.
rn_build() {
  local cc=gcc start=$SECONDS options
  case $1 in
  debug) options=(-Ddebug=true -Doptimization=1 '-Db_sanitize=address,undefined') ;;
  clang) cc=clang options=(--buildtype=debugoptimized) ;;
  release) options=(-Ddebug=true -Doptimization=3 -Db_lto=true -Db_lto_threads=2 --prefix=/usr) ;;
  *) rn_die "there is no build $1" ;;
  esac
  rn_say "building build/$1 with $cc"
  mkdir -p "$RN_ROOT/build"
  # shellcheck disable=SC2016 # expands in the environment
  (cd "$RN_ROOT" && tools/in-env --build flock "build/$1.lock" bash -euc '
    dir=build/$1 cc=$2
    shift 2
    [ -e "$dir/build.ninja" ] || CC=$cc meson setup "$dir" "$@" >"$dir.log" 2>&1 || { tail -n 30 "$dir.log"; exit 1; }
    ninja -C "$dir" >"$dir.log" 2>&1 || { grep -E -A 6 "^FAILED|error:|ERROR" "$dir.log" | head -n 60; exit 1; }
  ' build "$1" "$cc" "${options[@]}" </dev/null >&2) || return
  rn_say "built build/$1 in $((SECONDS - start)) s"
}

# rn_compose FILE ARG...: Docker Compose, whichever version is installed, with docker/FILE.yml.
rn_compose() {
  local file=$RN_ROOT/docker/$1.yml
  shift
  if docker compose version >/dev/null 2>&1; then
    docker compose -f "$file" "$@"
  elif command -v docker-compose >/dev/null; then
    docker-compose -f "$file" "$@"
  else
    rn_die 'Docker Compose is not installed (docker compose or docker-compose)'
  fi
}

# rn_tls: makes the certificate that the topologies in docker/ mount, if it is not there.
rn_tls() { "$RN_ROOT/tools/certs" "$RN_ROOT/docker/tls"; }
