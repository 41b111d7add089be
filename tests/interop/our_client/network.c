/* Time, addresses, certificates. */
#include <stdlib.h>
#include <string.h>

#include "tests/interop/our_client/peer.h"
#include "util/err.h"

static bool sleep_31s(const struct target *t) {
  const uint64_t ms = 31000;
  struct peer p;
  struct answer a;
  bool ok = peer_open(&p, t, 1, 64);
  uint64_t start_ns = rn_client_now();
  ok = ok && ask(&p, "sleep", &ms, sizeof(ms), 30 * S_NS, &a);
  if (ok) {
    uint64_t took_ms = (rn_client_now() - start_ns) / MS_NS;
    free(a.data);
    ok = (a.err == RN_ERR_TIMEOUT && took_ms >= 29500 && took_ms < 32000) ||
         fail("%s after %llu ms", rn_err_text(a.err), (unsigned long long)took_ms);
    ok = ok && same("error text", a.text, strlen(a.text), "Request timeout", 15);
  }
  ok = ok && echo(&p, 100, 1);
  peer_close(&p);
  return ok;
}

static bool idle_65s(const struct target *t) {
  struct peer p;
  bool ok =
      peer_open(&p, t, 1, 64) && echo(&p, 100, 1) && peer_idle(&p, 65 * S_NS) && echo(&p, 100, 2);
  peer_close(&p);
  return ok;
}

static bool port_changes(const struct target *t, int count) {
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64) && echo(&p, 1000, 1);
  for (int i = 1; ok && i <= count; i++) {
    ok = rn_client_rebind(p.client) == RN_OK || fail("no new port");
    if (ok && !(echo(&p, 100, 2) && echo(&p, 100000, 3))) {
      fail_take();
      ok = fail("after change %d: connection %s", i, p.closed > 0 ? p.why : "silent");
    }
  }
  peer_close(&p);
  return ok;
}

static bool port_change_1(const struct target *t) { return port_changes(t, 1); }
static bool port_change_5(const struct target *t) { return port_changes(t, 5); }

static bool refused(const struct target *t) {
  struct peer p;
  bool ok = !peer_open(&p, t, 1, 64);
  bool closed = p.closed > 0;
  fail_take();
  peer_close(&p);
  if (!ok)
    return fail("connected");
  return closed || fail("neither connected nor refused");
}

static bool wrong_name(const struct target *t) {
  struct target other = *t;
  other.server_name = "elsewhere.example";
  return refused(&other);
}

static bool nobody_there(const struct target *t) {
  struct target other = *t;
  other.addr.port = 9; /* discard */
  return refused(&other);
}

const struct kase network_cases[] = {
  { .name = "sleep_31s",
    .shows = "a call of 31 s ends in `Request timeout`, its connection lives on",
    .waits = true,
    .run = sleep_31s },
  { .name = "idle_65s",
    .shows = "65 s without a call: keep-alive holds the connection",
    .waits = true,
    .run = idle_65s },
  { .name = "nobody_there",
    .shows = "no server: the connection ends in time",
    .waits = true,
    .run = nobody_there },
  { .name = "wrong_name", .shows = "a certificate for another name is refused", .run = wrong_name },
  { .name = "port_change_1", .shows = "a new source port, then calls", .run = port_change_1 },
  { .name = "port_change_5",
    .shows = "five new source ports, calls after each",
    .run = port_change_5 },
  { .name = NULL },
};
