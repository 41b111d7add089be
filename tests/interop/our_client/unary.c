/* Unary calls: sizes, ids, the built-in methods, the texts of errors. */
#include <stdlib.h>
#include <string.h>

#include "tests/interop/our_client/peer.h"
#include "util/err.h"

static bool echo_of(const struct target *t, size_t len) {
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64) && echo(&p, len, 1) && echo(&p, len, 2);
  peer_close(&p);
  return ok;
}

static bool echo_0(const struct target *t) { return echo_of(t, 0); }
static bool echo_1(const struct target *t) { return echo_of(t, 1); }
static bool echo_15(const struct target *t) { return echo_of(t, 15); }
static bool echo_100(const struct target *t) { return echo_of(t, 100); }
static bool echo_1k(const struct target *t) { return echo_of(t, 1000); }
static bool echo_10k(const struct target *t) { return echo_of(t, 10000); }
static bool echo_100k(const struct target *t) { return echo_of(t, 100000); }
static bool echo_1m(const struct target *t) { return echo_of(t, 1 << 20); }
static bool echo_12m(const struct target *t) { return echo_of(t, 12000000); }

static bool request_ids(const struct target *t) {
  struct peer p;
  struct answer a;
  uint64_t last = 0;
  bool ok = peer_open(&p, t, 1, 64);
  for (int i = 0; ok && i < 100; i++) {
    ok = ask(&p, "echo", "abc", 3, 10 * S_NS, &a);
    if (ok && i > 0 && a.id != last + 1)
      ok = fail("id %llu after %llu", (unsigned long long)a.id, (unsigned long long)last);
    last = a.id;
    free(a.data);
  }
  peer_close(&p);
  return ok;
}

static bool binary_echo(const struct target *t) {
  uint8_t all[256];
  for (size_t i = 0; i < sizeof(all); i++)
    all[i] = (uint8_t)i;
  struct peer p;
  bool ok =
      peer_open(&p, t, 1, 64) && ask_for(&p, "binary_echo", all, sizeof(all), all, sizeof(all));
  peer_close(&p);
  return ok;
}

static bool reverse(const struct target *t) {
  struct peer p;
  bool ok =
      peer_open(&p, t, 1, 64) && ask_for(&p, "reverse", "hello, world", 12, "dlrow ,olleh", 12);
  peer_close(&p);
  return ok;
}

/* The host is little endian, as the wire is. */
static bool compute(const struct target *t) {
  static const uint32_t rounds[] = { 0, 1, 1000, 100000 };
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64);
  for (size_t k = 0; ok && k < sizeof(rounds) / sizeof(rounds[0]); k++) {
    uint64_t x = 0;
    for (uint64_t i = 0; i < rounds[k]; i++)
      x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407) + i;
    ok = ask_for(&p, "compute", &rounds[k], sizeof(rounds[k]), &x, sizeof(x));
  }
  peer_close(&p);
  return ok;
}

static bool add(const struct target *t) {
  const int64_t pair[2] = { -50, 8 }, sum = -42;
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64) && ask_for(&p, "add", pair, sizeof(pair), &sum, sizeof(sum));
  peer_close(&p);
  return ok;
}

static bool sleep_300ms(const struct target *t) {
  const uint64_t ms = 300;
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64);
  uint64_t start_ns = rn_client_now();
  ok = ok && ask_for(&p, "sleep", &ms, sizeof(ms), &ms, sizeof(ms));
  uint64_t took_ms = (rn_client_now() - start_ns) / MS_NS;
  if (ok && (took_ms < 295 || took_ms > 1500))
    ok = fail("took %llu ms", (unsigned long long)took_ms);
  peer_close(&p);
  return ok;
}

static bool health_ready(const struct target *t) {
  struct peer p;
  struct answer a;
  bool ok = peer_open(&p, t, 1, 64) && ask(&p, "health", "", 0, 10 * S_NS, &a);
  if (ok) {
    ok = (a.err == RN_OK && a.len > 17 && a.data[0] == 1) ||
         fail("health: %zu bytes %s", a.len, a.text);
    free(a.data);
  }
  ok = ok && ask(&p, "ready", "", 0, 10 * S_NS, &a);
  if (ok) {
    ok = (a.err == RN_OK && a.len == 17 && a.data[0] == 1) ||
         fail("ready: %zu bytes %s", a.len, a.text);
    free(a.data);
  }
  peer_close(&p);
  return ok;
}

static bool errors(const struct target *t) {
  struct peer p;
  bool ok =
      peer_open(&p, t, 1, 64) &&
      ask_error(&p, "no.such_method", "x", 1, "Stream error: Unknown method: no.such_method") &&
      ask_error(&p, "fail", "disk full", 9, "Stream error: Stream error: disk full") &&
      ask_error(&p, "add", "\1\2\3", 3,
                "Stream error: Serialization error: io error: unexpected end of file") &&
      echo(&p, 100, 1);
  peer_close(&p);
  return ok;
}

const struct kase unary_cases[] = {
  { .name = "echo_0", .shows = "echo of an empty payload", .run = echo_0 },
  { .name = "echo_1", .shows = "echo of 1 byte", .run = echo_1 },
  { .name = "echo_15", .shows = "echo of 15 bytes", .run = echo_15 },
  { .name = "echo_100", .shows = "echo of 100 bytes", .run = echo_100 },
  { .name = "echo_1k", .shows = "echo of 1,000 bytes", .run = echo_1k },
  { .name = "echo_10k", .shows = "echo of 10,000 bytes", .run = echo_10k },
  { .name = "echo_100k", .shows = "echo of 100,000 bytes", .run = echo_100k },
  { .name = "echo_1m", .shows = "echo of 1 MiB", .run = echo_1m },
  { .name = "echo_12m",
    .shows = "echo of 12,000,000 bytes, past every flow control window",
    .run = echo_12m },
  { .name = "request_ids", .shows = "ids of 100 calls follow each other", .run = request_ids },
  { .name = "binary_echo", .shows = "all 256 byte values", .run = binary_echo },
  { .name = "reverse", .shows = "reverse of ASCII text", .run = reverse },
  { .name = "compute", .shows = "compute of 0, 1, 1,000 and 100,000 rounds", .run = compute },
  { .name = "add", .shows = "add, of bincode (i64, i64)", .run = add },
  { .name = "sleep", .shows = "sleep of 300 ms takes as long", .run = sleep_300ms },
  { .name = "health_ready", .shows = "health and ready", .run = health_ready },
  { .name = "errors",
    .shows = "exact texts: unknown method, handler's error, bad params",
    .run = errors },
  { .name = NULL },
};
