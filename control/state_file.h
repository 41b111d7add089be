/* control/state_file.h: the text of cluster.state_file, by which a node knows its cluster again after a start.
 *
 *   {"version":1,"members":[
 *   {"id":"node-192.0.2.8:8080","addr":"192.0.2.8:8080","incarnation":1700000000000,"state":"alive","tags":{"role":"worker"}}
 *   ],"sum":"0123456789abcdef"}
 *
 * sum is the SipHash-2-4, with a key of zeros, of all bytes before ,"sum": it finds what a disk did to the file, not what a person did. What is written is at
 * most RN_STATE_BYTES_MAX; one thread; any bytes are safe to read. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cluster/members.h"
#include "control/parent_msg.h"

#define RN_STATE_BYTES_MAX RN_PARENT_SAVE_MAX

/* All members but ourselves, who are there before who failed or left. What has no place any more is counted in *left_out. *out is the caller's to free(), with
 * a NUL behind *len bytes. RN_OK or RN_ERR_SYS (memory is out). */
int rn_state_write(const struct rn_members *m, char **out, size_t *len, uint32_t *left_out);

/* Gives each member to heard, with what it points to valid during the call, in the order of the file: for rn_members_apply as hearsay. All or none: RN_OK, or
 * RN_ERR_CONFIG with why (damaged, or of another version) and heard was not called; RN_ERR_SYS, the same, when memory is out. */
int rn_state_read(const char *text, size_t len,
                  void (*heard)(void *app, const struct rn_swim_update *u), void *app, char *why,
                  size_t why_bytes);
