/* control/udp_guard.h: UDP sockets bound to the node's port that take nothing. In shared mode the kernel sees every datagram too; without a
 * socket it would answer each with ICMP port unreachable. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Binds UDP port of the interface for IPv4 and IPv6 with a filter that drops everything. out_fds get the descriptors, -1 where the address family does
 * not exist here; the caller closes them. RN_OK; RN_ERR_SYS with why, for instance because another program has the port. */
int rn_udp_guard_open(const char *interface, uint16_t port, int out_fds[2], char *why,
                      size_t why_bytes);
void rn_udp_guard_close(int fds[2]); /* those >= 0, which become -1 */
