/* control/admin_priv.h: what requests of the admin socket (admin.c, admin_cluster.c) share. */
#pragma once
#include <stddef.h>

#include <yyjson.h>

#include "control/node.h"

struct rn_admin_client; /* somebody who asked and waits for one line */

struct rn_node *rn_admin_node(struct rn_admin_client *c);
/* One line, and the end. Takes json over; NULL: memory is out. */
void rn_admin_answer(struct rn_admin_client *c, char *json, size_t len);
/* The same for an answer that is not written yet; takes doc over. */
void rn_admin_answer_doc(struct rn_admin_client *c, yyjson_mut_doc *doc);
void rn_admin_error(struct rn_admin_client *c, const char *why);

struct rn_admin_request {
  const char *name;
  void (*run)(struct rn_admin_client *c, yyjson_val *request);
};

/* admin_cluster.c; ends with a name of NULL. */
extern const struct rn_admin_request rn_admin_cluster_requests[];
