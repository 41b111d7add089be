#include "tests/interop/our_client/peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

static char note[512];

bool fail(const char *format, ...) {
  if (note[0] != '\0')
    return false;
  va_list ap;
  va_start(ap, format);
  vsnprintf(note, sizeof(note), format, ap);
  va_end(ap);
  return false;
}

const char *fail_take(void) {
  static char taken[sizeof(note)];
  memcpy(taken, note, sizeof(note));
  note[0] = '\0';
  return taken;
}

static void on_ready(void *user, struct rn_quic_conn *c) {
  struct peer *p = user;
  (void)c;
  p->ready++;
}

static void on_closed(void *user, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  static const char *const kinds[] = { "idle", "handshake timeout", "closed by us",
                                       "closed by the peer", "reset" };
  struct peer *p = user;
  (void)c;
  p->closed++;
  snprintf(p->why, sizeof(p->why), "%s, code %#llx", kinds[why->kind],
           (unsigned long long)why->code);
}

bool peer_open(struct peer *p, const struct target *t, uint32_t conns, uint32_t calls) {
  return peer_open_within(p, t, conns, calls, 12 * S_NS);
}

bool peer_open_within(struct peer *p, const struct target *t, uint32_t conns, uint32_t calls,
                      uint64_t limit_ns) {
  static const struct rn_client_events events = { .ready = on_ready, .closed = on_closed };
  struct rn_client_config cfg;
  char text[256];
  *p = (struct peer){ 0 };
  rn_client_defaults(&cfg);
  cfg.local.family = t->addr.family;
  cfg.ca_pem = t->ca_pem;
  cfg.ca_pem_bytes = t->ca_pem_bytes;
  cfg.conns = conns;
  cfg.calls = calls;
  if (rn_client_new(&cfg, &events, p, &p->client, text, sizeof(text)) != RN_OK)
    return fail("client: %s", text);
  for (uint32_t i = 0; i < conns; i++) {
    int err = rn_client_connect(p->client, &t->addr, t->server_name, &p->conn[i]);
    if (err != RN_OK)
      return fail("connect: %s", rn_err_text(err));
  }
  return peer_until(p, &p->ready, conns, limit_ns);
}

void peer_close(struct peer *p) {
  rn_client_free(p->client);
  p->client = NULL;
}

bool peer_until(struct peer *p, const uint32_t *done, uint32_t want, uint64_t limit_ns) {
  uint64_t end_ns = rn_client_now() + limit_ns;
  while (*done < want) {
    if (p->closed > 0)
      return fail("connection ended: %s", p->why);
    if (rn_client_now() > end_ns)
      return fail("%u of %u after %llu ms", *done, want, (unsigned long long)(limit_ns / MS_NS));
    rn_client_step(p->client, 5 * MS_NS);
  }
  return true;
}

bool peer_idle(struct peer *p, uint64_t time_ns) {
  uint64_t end_ns = rn_client_now() + time_ns;
  while (rn_client_now() < end_ns) {
    if (p->closed > 0)
      return fail("connection ended: %s", p->why);
    rn_client_step(p->client, 5 * MS_NS);
  }
  return true;
}

static void on_answer(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct answer *a = user;
  (void)call;
  a->err = r->err;
  a->id = r->id;
  memcpy(a->text, r->text, sizeof(a->text));
  if (r->err == RN_OK && r->len > 0) {
    a->data = malloc(r->len);
    RN_ASSERT(a->data != NULL);
    memcpy(a->data, r->data, r->len);
    a->len = r->len;
  }
  a->done = 1;
}

bool ask(struct peer *p, const char *method, const void *params, size_t len, uint64_t timeout_ns,
         struct answer *a) {
  *a = (struct answer){ 0 };
  int err = rn_rpc_client_call(rn_client_rpc(p->client), p->conn[0], method, params, len,
                               timeout_ns, on_answer, a, NULL);
  if (err != RN_OK)
    return fail("%s: call: %s", method, rn_err_text(err));
  if (peer_until(p, &a->done, 1, timeout_ns + 5 * S_NS))
    return true;
  peer_close(p); /* the call must not find a gone answer later */
  free(a->data);
  a->data = NULL;
  return fail("%s: no answer", method);
}

bool ask_for(struct peer *p, const char *method, const void *params, size_t len, const void *want,
             size_t want_len) {
  struct answer a;
  if (!ask(p, method, params, len, 30 * S_NS, &a))
    return false;
  bool ok =
      a.err == RN_OK ? same(method, a.data, a.len, want, want_len) : fail("%s: %s", method, a.text);
  free(a.data);
  return ok;
}

bool ask_error(struct peer *p, const char *method, const void *params, size_t len,
               const char *text) {
  struct answer a;
  if (!ask(p, method, params, len, 30 * S_NS, &a))
    return false;
  free(a.data);
  if (a.err != RN_ERR_REFUSED)
    return fail("%s: %s, expected it refused", method, rn_err_text(a.err));
  return same("error text", a.text, strlen(a.text), text, strlen(text));
}

bool echo(struct peer *p, size_t len, uint64_t seed) {
  uint8_t *data = malloc(len + 1);
  RN_ASSERT(data != NULL);
  pattern(data, len, seed);
  bool ok = ask_for(p, "echo", data, len, data, len);
  free(data);
  return ok;
}

void pattern(uint8_t *out, size_t len, uint64_t seed) {
  uint64_t x = (seed * UINT64_C(0x9e3779b97f4a7c15)) | 1;
  for (size_t i = 0; i < len; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    out[i] = (uint8_t)(x >> 32);
  }
}

bool same(const char *what, const void *got, size_t got_len, const void *want, size_t want_len) {
  if (got_len != want_len)
    return fail("%s: %zu bytes, expected %zu: %.*s", what, got_len, want_len,
                (int)(got_len < 80 ? got_len : 80), got_len > 0 ? (const char *)got : "");
  if (got_len == 0 || memcmp(got, want, got_len) == 0)
    return true;
  size_t at = 0;
  while (((const uint8_t *)got)[at] == ((const uint8_t *)want)[at])
    at++;
  return fail("%s: differs at byte %zu of %zu", what, at, got_len);
}
