/* The client of a director, with our library: asks it for a worker, takes tokens from that one, and when it fails asks again. Prints the same
 * lines of JSON as the role client of tests/interop/rust/src/cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/interop/our_client/peer.h"
#include "util/err.h"

#define TEXT_BYTES 256u
#define PATIENCE   (5 * S_NS)    /* for a connection, and for an answer */
#define SILENCE    (3 * S_NS)    /* after which a stream is given up */
#define PAUSE      (500 * MS_NS) /* before the director is asked again */
#define REQUESTS   100u          /* on one stream */

static const char usage[] =
    "usage: our-director-client --cert FILE --director ADDRESS:PORT [--tokens N] [--every MS]\n"
    "\n"
    "Asks a director for a worker and that one for tokens, one every MS (800), until it has N "
    "(10).\n"
    "\n"
    "example: our-director-client --cert node.crt --director 10.88.0.11:8080 --tokens 20\n";

struct options {
  struct target director;
  uint32_t tokens;
  uint64_t every_ns;
};

/* What is known so far. */
struct state {
  const struct options *o;
  char connection[TEXT_BYTES], label[TEXT_BYTES];
  uint32_t tokens;
};

/* One stream of tokens. */
struct tokens {
  struct state *state;
  struct rn_rpc_client_call *call;
  uint32_t done;
  bool failed; /* noted */
};

/* ---- bytes ---- */

struct reader {
  const uint8_t *at, *end;
  bool bad;
};

static uint64_t number(struct reader *r, size_t bytes) {
  uint64_t value = 0;
  if ((size_t)(r->end - r->at) < bytes) {
    r->bad = true;
    return 0;
  }
  memcpy(&value, r->at, bytes); /* little endian, as the machine is */
  r->at += bytes;
  return value;
}

/* A string, cut to what fits; characters that JSON would want escaped become blanks. */
static void string(struct reader *r, char out[TEXT_BYTES]) {
  uint64_t len = number(r, 8);
  out[0] = '\0';
  if (r->bad || len > (uint64_t)(r->end - r->at)) {
    r->bad = true;
    return;
  }
  size_t kept = len < TEXT_BYTES ? len : TEXT_BYTES - 1;
  for (size_t i = 0; i < kept; i++)
    out[i] = r->at[i] < 32 || r->at[i] == '"' || r->at[i] == '\\' ? ' ' : (char)r->at[i];
  out[kept] = '\0';
  r->at += len;
}

static void option(struct reader *r, char out[TEXT_BYTES]) {
  out[0] = '\0';
  if (number(r, 1) == 1)
    string(r, out);
}

static size_t put_string(uint8_t *out, const char *text) {
  uint64_t len = strlen(text);
  memcpy(out, &len, sizeof(len));
  memcpy(out + sizeof(len), text, len);
  return sizeof(len) + len;
}

/* ---- tokens ---- */

static void on_item(void *user, struct rn_rpc_client_call *call, const uint8_t *data, size_t len) {
  struct tokens *t = user;
  struct reader r = { data, data + len, false };
  char text[TEXT_BYTES], other[TEXT_BYTES];
  bool is_error = number(&r, 4) == 1;
  uint64_t kind = number(&r, 4);
  (void)call;
  if (is_error) {
    string(&r, text);
    t->failed = !fail("%s: %s", kind == 0 ? "worker failed" : "invalid request", text);
  } else if (kind == 0) {
    string(&r, text);
    string(&r, other);
    printf("{\"event\": \"connected\", \"worker\": \"%s\", \"connection_id\": \"%s\"}\n", text,
           other);
  } else if (kind == 1) {
    string(&r, text);
    uint64_t sequence = number(&r, 8);
    if (!r.bad)
      printf("{\"event\": \"token\", \"text\": \"%s\", \"sequence\": %llu, \"label\": \"%s\", "
             "\"tokens\": %u}\n",
             text, (unsigned long long)sequence, t->state->label, ++t->state->tokens);
  } else {
    t->failed = !fail(kind == 3 ? "done" : "error reply");
  }
  if (r.bad)
    t->failed = !fail("an item of %zu bytes", len);
  fflush(stdout);
}

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct tokens *t = user;
  (void)call;
  if (r->err != RN_ERR_CANCEL)
    fail("%s", r->err == RN_OK ? "the stream ended" : r->text);
  t->call = NULL;
  t->done = 1;
}

/* Sends a request each time one is due. False with a note when the stream takes none. */
static bool send_requests(struct tokens *t, uint32_t *sent, uint64_t *next_ns) {
  uint8_t request[2 * (TEXT_BYTES + 8)];
  char prompt[32];
  if (*sent == REQUESTS || rn_client_now() < *next_ns || t->call == NULL)
    return true;
  snprintf(prompt, sizeof(prompt), "prompt %u", *sent);
  size_t len = put_string(request, t->state->connection);
  len += put_string(request + len, prompt);
  int err = rn_rpc_client_send(t->call, request, len);
  if (err != RN_OK)
    return fail("request: %s", rn_err_text(err));
  ++*sent;
  *next_ns += t->state->o->every_ns;
  return true;
}

/* Tokens of one worker until there are enough. False with a note when it is of no more use. */
static bool take_tokens(struct state *s, const struct target *worker) {
  static const struct rn_rpc_stream_events events = { on_item, NULL, on_done };
  struct tokens t = { .state = s };
  struct peer p;
  uint32_t sent = 0;
  bool ok = peer_open_within(&p, worker, 1, 4, PATIENCE);
  if (ok) {
    int err = rn_rpc_client_stream(rn_client_rpc(p.client), p.conn[0], "Inference.generate",
                                   SILENCE, &events, &t, &t.call);
    ok = err == RN_OK || fail("Inference.generate: %s", rn_err_text(err));
  }
  uint64_t next_ns = rn_client_now();
  while (ok && s->tokens < s->o->tokens) {
    ok = send_requests(&t, &sent, &next_ns) && t.done == 0 && !t.failed;
    if (ok && p.closed > 0)
      ok = fail("connection ended: %s", p.why);
    if (ok)
      rn_client_step(p.client, 5 * MS_NS);
  }
  if (t.call != NULL)
    rn_rpc_client_cancel(t.call);
  peer_close(&p);
  return ok;
}

/* ---- the director ---- */

/* A worker: its address in worker. False with a note when there is none. */
static bool get_worker(struct state *s, struct target *worker) {
  uint8_t params[TEXT_BYTES + 64];
  char addr[TEXT_BYTES], message[TEXT_BYTES];
  struct peer p;
  struct answer a;
  size_t len = 1;
  params[0] = s->connection[0] != '\0';
  if (params[0])
    len += put_string(params + len, s->connection);
  len += put_string(params + len, "some tokens");
  bool ok = peer_open_within(&p, &s->o->director, 1, 4, PATIENCE) &&
            ask(&p, "DirectorRegistry.get_worker", params, len, PATIENCE, &a);
  peer_close(&p);
  if (!ok)
    return false;
  if (a.err != RN_OK)
    return fail("director: %s", a.text);
  struct reader r = { a.data, a.data + a.len, false };
  bool success = number(&r, 1) == 1;
  option(&r, addr);
  option(&r, s->label);
  string(&r, s->connection);
  option(&r, message);
  free(a.data);
  if (r.bad)
    return fail("director: an answer of %zu bytes", a.len);
  if (!success) {
    printf("{\"event\": \"none\", \"message\": \"%s\"}\n", message);
    return fail("%s", message);
  }
  printf(
      "{\"event\": \"assigned\", \"addr\": \"%s\", \"label\": \"%s\", \"connection_id\": \"%s\"}\n",
      addr, s->label, s->connection);
  *worker = s->o->director;
  return rn_addr_parse(addr, &worker->addr) == RN_OK || fail("%s is no address", addr);
}

static int run(const struct options *o) {
  struct state s = { .o = o };
  struct target worker;
  puts("{\"event\": \"ready\"}");
  fflush(stdout);
  while (s.tokens < o->tokens) {
    if (get_worker(&s, &worker) && take_tokens(&s, &worker))
      continue;
    printf("{\"event\": \"failed\", \"why\": \"%s\"}\n", fail_take());
    fflush(stdout);
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE }, NULL);
  }
  printf("{\"event\": \"done\", \"tokens\": %u}\n", s.tokens);
  return 0;
}

/* ---- command line ---- */

static bool read_file(const char *path, struct target *t) {
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    return false;
  t->ca_pem = calloc(1, 65536);
  RN_ASSERT(t->ca_pem != NULL);
  t->ca_pem_bytes = fread(t->ca_pem, 1, 65535, f);
  fclose(f);
  return t->ca_pem_bytes > 0;
}

static int bad_usage(const char *why, const char *what) {
  fprintf(stderr, "our-director-client: %s %s\n%s", why, what, usage);
  return 2;
}

int main(int argc, char **argv) {
  struct options o = { .director.server_name = "localhost", .tokens = 10, .every_ns = 800 * MS_NS };
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
      return fputs(usage, stdout) < 0;
    if (value == NULL)
      return bad_usage("no value for", name);
    if (strcmp(name, "--cert") == 0) {
      if (!read_file(value, &o.director))
        return bad_usage("cannot read", value);
    } else if (strcmp(name, "--director") == 0) {
      if (rn_addr_parse(value, &o.director.addr) != RN_OK || o.director.addr.port == 0)
        return bad_usage("no address with a port:", value);
    } else if (strcmp(name, "--tokens") == 0) {
      o.tokens = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--every") == 0) {
      o.every_ns = strtoul(value, NULL, 10) * MS_NS;
    } else {
      return bad_usage("unknown option", name);
    }
  }
  if (o.director.addr.family == 0 || o.director.ca_pem == NULL)
    return bad_usage("--director and --cert are needed", "");
  return run(&o);
}
