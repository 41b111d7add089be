/* control/bpf/loader.h: puts our BPF programs on an interface. The process that calls this needs CAP_BPF and CAP_NET_ADMIN, or
 * CAP_SYS_ADMIN; rpcnetd does, and nothing else.
 *
 * The program is held by a bpf_link: it stays while the link's descriptor is open in any process, and leaves the interface with the last
 * one. Nothing is pinned in a file system. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct rn_bpf_links;

enum rn_bpf_kind {
  RN_BPF_NATIVE, /* run by the device's driver: a veth's peer sends no frames above the MTU */
  RN_BPF_GENERIC, /* the driver knows no XDP: frames above the MTU are possible where a NIC merges what it receives */
};

/* Attaches the pass program (pass.bpf.c) to the interface. RN_OK with *out, to be released; or RN_ERR_NOENT (no such interface), RN_ERR_REFUSED (BPF may
 * not be loaded here), RN_ERR_EXIST (another XDP program is there) or RN_ERR_SYS, with why: one line that says what failed and what it costs. */
int rn_bpf_attach(const char *interface, struct rn_bpf_links **out, char *why, size_t why_bytes);

enum rn_bpf_kind rn_bpf_kind(const struct rn_bpf_links *l);
/* The link's descriptor, which stays l's: duplicate it to keep the program beyond release. */
int rn_bpf_link_fd(const struct rn_bpf_links *l);

/* Closes the link: the program leaves the interface unless the descriptor was duplicated. NULL is fine. */
void rn_bpf_release(struct rn_bpf_links *l);
