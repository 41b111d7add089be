/* tests/interop/our_client/peer.h: what the cases share: connections to the server under test, calls that wait for their answer,
 * and the reason why a case failed. One thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/client.h"

#define PEER_CONNS 4
#define S_NS       UINT64_C(1000000000)
#define MS_NS      UINT64_C(1000000)

/* The server under test. */
struct target {
  struct rn_addr addr;
  const char *server_name;
  char *ca_pem;
  size_t ca_pem_bytes;
};

struct kase {
  const char *name;
  const char *shows;
  bool waits; /* mostly waits: runs beside the others */
  bool (*run)(const struct target *t);
};

/* The lists of this program, each ended by a case without a name. */
extern const struct kase unary_cases[], streaming_cases[], load_cases[], network_cases[];

/* Notes why the case fails, printf-like, and returns false. The first note of a case stays. */
bool fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The note, and no note any more. */
const char *fail_take(void);

/* A client with up to PEER_CONNS connections. */
struct peer {
  struct rn_client *client;
  struct rn_quic_conn *conn[PEER_CONNS];
  uint32_t ready, closed;
  char why[128]; /* of the last close */
};

/* Opens conns connections and waits until they are ready. calls: outstanding at most. False with a note. */
bool peer_open(struct peer *p, const struct target *t, uint32_t conns, uint32_t calls);
/* The same, with another limit than 12 s for all of them to be ready. */
bool peer_open_within(struct peer *p, const struct target *t, uint32_t conns, uint32_t calls,
                      uint64_t limit_ns);
void peer_close(struct peer *p);

/* Steps until *done is not smaller than want. False with a note after limit_ns, or when a connection ended. */
bool peer_until(struct peer *p, const uint32_t *done, uint32_t want, uint64_t limit_ns);
/* Steps for that long. False with a note when a connection ended. */
bool peer_idle(struct peer *p, uint64_t time_ns);

/* An answer; data is the owner's to free. */
struct answer {
  uint32_t done;
  int err;
  uint8_t *data;
  size_t len;
  uint64_t id;
  char text[256];
};

/* A unary call on the first connection that waits for its answer; free(a->data) afterwards. False with a note if none came. */
bool ask(struct peer *p, const char *method, const void *params, size_t len, uint64_t timeout_ns,
         struct answer *a);
/* The same, and the answer has to be this. */
bool ask_for(struct peer *p, const char *method, const void *params, size_t len, const void *want,
             size_t want_len);
/* The same, and it has to fail with this text. */
bool ask_error(struct peer *p, const char *method, const void *params, size_t len,
               const char *text);
/* Echo of len bytes that seed makes. */
bool echo(struct peer *p, size_t len, uint64_t seed);

/* Fills out with bytes that differ from position to position and from seed to seed. */
void pattern(uint8_t *out, size_t len, uint64_t seed);
/* False with a note naming what differs. */
bool same(const char *what, const void *got, size_t got_len, const void *want, size_t want_len);
