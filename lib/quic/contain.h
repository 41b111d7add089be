/* lib/quic/contain.h: an assertion of ngtcp2 costs one connection, not the node.
 *
 * ngtcp2 checks itself with assert(), and a check that a peer can make fail would end the process with everybody's connections. All
 * work on one connection that a datagram or a timer starts runs inside contain_run; a program that has its own __assert_fail and hands on
 * to rn_quic_assertion comes back from there with the connection's state as ngtcp2 left it. An assertion fails before the damage, so
 * taking the connection down is still possible. A program without it ends as ever. */
#pragma once
#include <stdbool.h>

#include "quic/quic_priv.h"

/* Runs work(c, arg), nested calls are fine. False when an assertion of ngtcp2 failed meanwhile: what c holds may only be released. */
bool contain_run(struct rn_quic_conn *c, void (*work)(struct rn_quic_conn *c, void *arg),
                 void *arg);
