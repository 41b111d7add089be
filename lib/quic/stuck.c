/* lib/quic/stuck.c: connections that ngtcp2 1.22 would leave waiting for their idle timeout.
 *
 * What an address change loses may fill the congestion window with packets that no timer watches: PATH_RESPONSEs, which are not probed for, or
 * anything on an unvalidated path whose loss timer the anti-amplification limit switched off. Past a full window ngtcp2 sends no PING, no
 * PATH_CHALLENGE and no PATH_RESPONSE, so that nothing is acknowledged any more. Only another path starts congestion control anew:
 * the same one with another twist (path.c). A client changes to it, with a connection ID that the peer has spare; a server takes
 * the next packet as coming from there, and validates it. */
#include "quic/quic_priv.h"

/* The idle timeout in force, RFC 9000 section 10.1; 0: none. */
static uint64_t idle_timeout(const struct rn_quic_conn *c) {
  const ngtcp2_transport_params *tp = ngtcp2_conn_get_remote_transport_params(c->ng);
  uint64_t own = ngtcp2_conn_get_local_transport_params(c->ng)->max_idle_timeout;
  uint64_t theirs = tp != NULL ? tp->max_idle_timeout : 0;
  return own == 0 || (theirs != 0 && theirs < own) ? theirs : own;
}

/* Whether nothing but the idle timeout will happen by itself. */
static bool waits_for_idle(const struct rn_quic_conn *c) {
  if (c->keep_alive_ns != 0) /* it would fire, and could not send its PING */
    ngtcp2_conn_set_keep_alive_timeout(c->ng, UINT64_MAX);
  uint64_t at = ngtcp2_conn_get_expiry(c->ng), idle = idle_timeout(c);
  if (c->keep_alive_ns != 0)
    ngtcp2_conn_set_keep_alive_timeout(c->ng, c->keep_alive_ns);
  return at == UINT64_MAX || (idle != 0 && at >= c->heard_ns + idle);
}

static void help_on(struct rn_quic_conn *c) {
  struct native_path np;
  c->twist++;
  if (!c->server) {
    path_of_conn(c, &c->path, &np);
    if (ngtcp2_conn_initiate_immediate_migration(c->ng, &np.path, c->q->now_ns) != 0) {
      c->twist--; /* no connection ID to spare: again later */
      return;
    }
    path_adopt(c, &np.path);
    conn_mark_dirty(c);
  }
  c->q->stats.path_unstuck++;
}

uint64_t stuck_watch(struct rn_quic_conn *c, uint64_t at_ns) {
  uint64_t now_ns = c->q->now_ns;
  if (!c->confirmed || ngtcp2_conn_get_cwnd_left(c->ng) > 0) {
    c->stuck_ns = 0;
    return at_ns;
  }
  if (c->stuck_ns == 0 || c->stuck_ns <= now_ns) {
    /* An acknowledgement may be on its way for one PTO. */
    if (c->stuck_ns != 0 && waits_for_idle(c))
      help_on(c);
    c->stuck_ns = now_ns + ngtcp2_conn_get_pto(c->ng);
  }
  return c->stuck_ns < at_ns ? c->stuck_ns : at_ns;
}
