/* tools/bench/port.h: a client's datagrams over a port of the data plane instead of a UDP socket: the same drivers and frames as a node's.
 *
 * The interface stays the kernel's (shared mode): its address is used, with a UDP port of ours. Needs NET_RAW and NET_ADMIN, and for the XDP program
 * BPF or SYS_ADMIN. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "client/io.h"

struct bench_port;

extern const struct rn_client_io bench_port_io; /* its ctx is a struct bench_port */

/* Once per process. spec: DRIVER:INTERFACE, such as af_packet:eth0; family: of the server's address; udp_port: to send from. RN_OK, or an error with
 * why. */
int bench_port_open(const char *spec, uint8_t family, uint16_t udp_port, struct bench_port **out,
                    char *why, size_t why_bytes);
/* Largest UDP payload that fits the port's MTU. */
uint32_t bench_port_payload(const struct bench_port *p);
