/* lib/quic/path.c: addresses in our form and in ngtcp2's, and changes of path. */
#include "quic/quic_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* What ngtcp2 sees as an address is ours with port and twist folded in, the twist kept where ngtcp2 copies it and does not compare it. So another
 * port counts as another address, and so does the same path with another twist: ngtcp2 then starts congestion control anew, as RFC 9000
 * section 9.4 has it for an address and allows it for a port. Kept, it may be for good: stuck.c. */
static void fold(uint8_t *ip, uint16_t port, uint16_t twist) {
  ip[0] ^= (uint8_t)(port >> 8);
  ip[1] ^= (uint8_t)port;
  ip[2] ^= (uint8_t)(twist >> 8);
  ip[3] ^= (uint8_t)twist;
}

static void addr_to_native(const struct rn_addr *a, uint16_t twist, union sockaddr_any *sa,
                           ngtcp2_addr *out) {
  memset(sa, 0, sizeof(*sa));
  if (a->family == 6) {
    sa->in6.sin6_family = AF_INET6;
    sa->in6.sin6_port = htons(a->port);
    sa->in6.sin6_scope_id = twist;
    memcpy(&sa->in6.sin6_addr, a->ip, 16);
    fold((uint8_t *)&sa->in6.sin6_addr, a->port, twist);
    out->addrlen = sizeof(sa->in6);
  } else {
    sa->in.sin_family = AF_INET;
    sa->in.sin_port = htons(a->port);
    memcpy(sa->in.sin_zero, &twist, sizeof(twist));
    memcpy(&sa->in.sin_addr, a->ip, 4);
    fold((uint8_t *)&sa->in.sin_addr, a->port, twist);
    out->addrlen = sizeof(sa->in);
  }
  out->addr = &sa->sa;
}

void path_to_native(const struct rn_path *p, uint16_t local_twist, uint16_t remote_twist,
                    struct native_path *out) {
  addr_to_native(&p->local, local_twist, &out->local, &out->path.local);
  addr_to_native(&p->remote, remote_twist, &out->remote, &out->path.remote);
  out->path.user_data = NULL;
}

void path_of_conn(const struct rn_quic_conn *c, const struct rn_path *p, struct native_path *out) {
  path_to_native(p, c->server ? 0 : c->twist, c->server ? c->twist : 0, out);
}

static void addr_from_native(const ngtcp2_addr *a, struct rn_addr *out) {
  memset(out, 0, sizeof(*out));
  const union sockaddr_any *sa = (const union sockaddr_any *)(const void *)a->addr;
  uint16_t twist;
  if (a->addr->sa_family == AF_INET6) {
    out->family = 6;
    out->port = ntohs(sa->in6.sin6_port);
    twist = (uint16_t)sa->in6.sin6_scope_id;
    memcpy(out->ip, &sa->in6.sin6_addr, 16);
  } else {
    out->family = 4;
    out->port = ntohs(sa->in.sin_port);
    memcpy(&twist, sa->in.sin_zero, sizeof(twist));
    memcpy(out->ip, &sa->in.sin_addr, 4);
  }
  fold(out->ip, out->port, twist);
}

static bool same_native(const ngtcp2_addr *a, const union sockaddr_any *b) {
  return memcmp(a->addr, b, (size_t)a->addrlen) == 0;
}

void path_of_packet(const struct rn_quic_conn *c, const ngtcp2_path *np, struct rn_path *out) {
  if (same_native(&np->remote, &c->path_remote) && same_native(&np->local, &c->path_local)) {
    *out = c->path;
    return;
  }
  addr_from_native(&np->local, &out->local);
  addr_from_native(&np->remote, &out->remote);
}

void path_adopt(struct rn_quic_conn *c, const ngtcp2_path *np) {
  addr_from_native(&np->local, &c->path.local);
  addr_from_native(&np->remote, &c->path.remote);
  memcpy(&c->path_local, np->local.addr, (size_t)np->local.addrlen);
  memcpy(&c->path_remote, np->remote.addr, (size_t)np->remote.addrlen);
}

void rn_quic_conn_path(const struct rn_quic_conn *c, struct rn_path *out) { *out = c->path; }

int rn_quic_conn_migrate(struct rn_quic_conn *c, uint64_t now_ns, const struct rn_addr *local) {
  if (c->state != CONN_READY || c->server)
    return RN_ERR_STATE;
  struct rn_path to = { .local = *local, .remote = c->path.remote };
  struct native_path np;
  path_of_conn(c, &to, &np);
  if (ngtcp2_conn_initiate_immediate_migration(c->ng, &np.path, now_ns) != 0)
    return RN_ERR_STATE;
  path_adopt(c, &np.path);
  conn_mark_dirty(c);
  return RN_OK;
}
