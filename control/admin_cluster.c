/* control/admin_cluster.c: requests about the cluster. */
#include "control/admin_priv.h"

#include <stdio.h>
#include <string.h>

#include "cluster/balance/balance.h"
#include "control/gossip.h"
#include "control/status.h"
#include "sys/channel.h"
#include "sys/clock.h"
#include "util/addr.h"
#include "util/err.h"

#define EVENTS_AT_A_TIME 200u

static const char *const state_names[RN_SWIM_STATE_COUNT] = { "alive", "suspect", "failed",
                                                              "left" };
static const char *const partition_names[] = { "healthy", "suspect", "partitioned" };

/* The cluster, or NULL with an error said. */
static struct rn_cluster *cluster_of(struct rn_admin_client *c) {
  struct rn_node *n = rn_admin_node(c);
  struct rn_cluster *cluster = rn_gossiper_cluster(n->gossip);
  if (n->gossip == NULL)
    rn_admin_error(c, "cluster.enabled is not set");
  else if (cluster == NULL)
    rn_admin_error(c, "the node does not take part in the cluster yet");
  return cluster;
}

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct rn_bin_str key,
                     struct rn_bin_str value) {
  yyjson_mut_obj_add(obj, yyjson_mut_strncpy(doc, (const char *)key.p, key.len),
                     yyjson_mut_strncpy(doc, (const char *)value.p, value.len));
}

static void add_addr(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct rn_addr *addr) {
  char text[RN_ADDR_TEXT_BYTES];
  yyjson_mut_obj_add_strcpy(doc, obj, "addr", rn_addr_text(addr, text));
}

static void add_member(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct rn_member *who) {
  yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
  const uint64_t now = rn_sys_now_ns();
  struct rn_bin_str key, value;
  uint16_t pos = 0;
  yyjson_mut_obj_add_strcpy(doc, o, "id", who->id);
  add_addr(doc, o, &who->addr);
  yyjson_mut_obj_add_str(doc, o, "state", state_names[who->state]);
  yyjson_mut_obj_add_uint(doc, o, "incarnation", who->incarnation);
  yyjson_mut_obj_add_real(doc, o, "since_seconds",
                          now > who->since_ns ? (double)(now - who->since_ns) / 1e9 : 0);
  yyjson_mut_obj_add_bool(doc, o, "alias", who->alias);
  yyjson_mut_val *tags = yyjson_mut_obj_add_obj(doc, o, "tags");
  while (rn_tags_next(&who->tags, &pos, &key, &value))
    add_text(doc, tags, key, value);
}

static void on_members(struct rn_admin_client *c, yyjson_val *request) {
  (void)request;
  struct rn_cluster *cluster = cluster_of(c);
  if (cluster == NULL)
    return;
  const struct rn_members *m = rn_cluster_members(cluster);
  const struct rn_partition *p = rn_cluster_partition(cluster);
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL) {
    rn_admin_answer(c, NULL, 0);
    return;
  }
  yyjson_mut_obj_add_strcpy(doc, r, "self", rn_members_self(m)->id);
  yyjson_mut_obj_add_uint(doc, r, "alive", rn_members_stats(m)->alive);
  yyjson_mut_obj_add_uint(doc, r, "health", rn_cluster_health(cluster));
  yyjson_mut_obj_add_str(doc, r, "partition", partition_names[p->state]);
  yyjson_mut_obj_add_bool(doc, r, "minority", p->minority);
  yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, r, "members");
  for (uint32_t i = 0; i < rn_members_count(m); i++)
    add_member(doc, list, rn_members_at(m, i));
  rn_admin_answer_doc(c, doc);
}

/* ---- the director ---- */

static void add_worker(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct rn_bal_pool *pool,
                       const struct rn_bal_worker *w) {
  yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
  yyjson_mut_obj_add_strncpy(doc, o, "id", rn_bal_pool_text(pool, w), w->text_len);
  add_addr(doc, o, &w->addr);
  yyjson_mut_obj_add_uint(doc, o, "weight", w->weight);
  yyjson_mut_obj_add_bool(doc, o, "near", w->flags & RN_BAL_NEAR);
  yyjson_mut_obj_add_bool(doc, o, "draining", w->flags & RN_BAL_DRAINING);
}

static void answer_workers(struct rn_admin_client *c, const struct rn_directory *d,
                           uint32_t route) {
  const struct rn_bal_pool *pool = rn_registry_pool(rn_directory_registry(d), route);
  const struct rn_routes *routes = rn_registry_routes(rn_directory_registry(d));
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL) {
    rn_admin_answer(c, NULL, 0);
    return;
  }
  const struct rn_route *how = &routes->route[route];
  yyjson_mut_obj_add_strcpy(doc, r, "route", how->pattern);
  yyjson_mut_obj_add_str(doc, r, "strategy",
                         how->call_all ? "call_all" : rn_bal_strategies[how->strategy]->name);
  yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, r, "workers");
  for (uint32_t i = 0; pool != NULL && i < pool->count; i++)
    add_worker(doc, list, pool, &rn_bal_pool_workers(pool)[i]);
  rn_admin_answer_doc(c, doc);
}

static const struct rn_directory *directory_of(struct rn_admin_client *c) {
  const struct rn_directory *d = rn_gossiper_directory(rn_admin_node(c)->gossip);
  if (d == NULL)
    rn_admin_error(c, "director.enabled is not set");
  return d;
}

/* Those of get_worker, or of the first route where that is not served. */
static void on_workers(struct rn_admin_client *c, yyjson_val *request) {
  (void)request;
  const struct rn_directory *d = directory_of(c);
  if (d == NULL)
    return;
  uint32_t route = rn_directory_get_worker(d);
  if (route == RN_ROUTE_NONE && rn_registry_routes(rn_directory_registry(d))->count > 0)
    route = 0;
  if (route == RN_ROUTE_NONE)
    rn_admin_error(c, "director has neither routes nor get_worker");
  else
    answer_workers(c, d, route);
}

static void on_route(struct rn_admin_client *c, yyjson_val *request) {
  const char *method = yyjson_get_str(yyjson_obj_get(request, "method"));
  const struct rn_directory *d = directory_of(c);
  if (d == NULL)
    return;
  if (method == NULL || method[0] == '\0') {
    rn_admin_error(c, "route takes a method");
    return;
  }
  uint32_t route = rn_directory_route(d, method);
  if (route == RN_ROUTE_NONE)
    rn_admin_error(c, "no route fits that method: this node answers it itself");
  else
    answer_workers(c, d, route);
}

/* ---- the cluster ---- */

/* The newest of them, or those after the number that is asked for. */
static void on_events(struct rn_admin_client *c, yyjson_val *request) {
  if (cluster_of(c) == NULL)
    return;
  const struct rn_event_log *log = rn_gossiper_events(rn_admin_node(c)->gossip);
  yyjson_val *asked = yyjson_obj_get(request, "after");
  uint64_t after = yyjson_is_uint(asked)          ? yyjson_get_uint(asked)
                   : log->last > EVENTS_AT_A_TIME ? log->last - EVENTS_AT_A_TIME
                                                  : 0;
  if (after > log->last) /* a number of the control process before this one */
    after = 0;
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL) {
    rn_admin_answer(c, NULL, 0);
    return;
  }
  const struct rn_event *first = rn_event_log_after(log, after), *e = first;
  yyjson_mut_obj_add_uint(doc, r, "lost", first != NULL ? first->number - after - 1 : 0);
  yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, r, "events");
  for (uint32_t i = 0; e != NULL && i < EVENTS_AT_A_TIME; i++) {
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
    yyjson_mut_obj_add_uint(doc, o, "number", e->number);
    yyjson_mut_obj_add_uint(doc, o, "unix_ms", e->wall_ns / RN_NS_PER_MS);
    yyjson_mut_obj_add_str(doc, o, "event", rn_event_name(e->type));
    yyjson_mut_obj_add_strcpy(doc, o, "id", e->id);
    add_addr(doc, o, &e->addr);
    yyjson_mut_obj_add_str(doc, o, "state", state_names[e->state]);
    yyjson_mut_obj_add_uint(doc, o, "incarnation", e->incarnation);
    after = e->number;
    e = rn_event_log_after(log, after);
  }
  yyjson_mut_obj_add_uint(doc, r, "last", after);
  rn_admin_answer_doc(c, doc);
}

static void answer_or_say(struct rn_admin_client *c, int err, const char *limit) {
  yyjson_mut_val *r;
  if (err == RN_OK)
    rn_admin_answer_doc(c, rn_status_answer(&r));
  else if (err == RN_ERR_STATE)
    rn_admin_error(c, "this node has left the cluster");
  else
    rn_admin_error(c, err == RN_ERR_LIMIT ? limit : rn_err_text(err));
}

static void on_tag(struct rn_admin_client *c, yyjson_val *request) {
  struct rn_gossiper *g = rn_admin_node(c)->gossip;
  const char *action = yyjson_get_str(yyjson_obj_get(request, "action"));
  const char *key = yyjson_get_str(yyjson_obj_get(request, "key"));
  const char *value = yyjson_get_str(yyjson_obj_get(request, "value"));
  if (cluster_of(c) == NULL)
    return;
  const bool set = action != NULL && strcmp(action, "set") == 0;
  if (key == NULL || key[0] == '\0' ||
      (set ? value == NULL : action == NULL || strcmp(action, "unset") != 0)) {
    rn_admin_error(c, "tag takes an action, set or unset, a key and, to set it, a value");
    return;
  }
  int err = set ? rn_gossiper_tag_set(g, key, value) : rn_gossiper_tag_unset(g, key);
  if (err == RN_ERR_INVAL)
    rn_admin_error(c, "the tag " RN_CLUSTER_TAG " is not to be changed");
  else
    answer_or_say(c, err,
                  "there is no room for this tag: key and value are at most 255 bytes, and all "
                  "that others are told of a node 500");
}

static void on_join(struct rn_admin_client *c, yyjson_val *request) {
  const char *text = yyjson_get_str(yyjson_obj_get(request, "address"));
  struct rn_addr addr;
  if (cluster_of(c) == NULL)
    return;
  if (text == NULL || rn_addr_parse(text, &addr) != RN_OK || addr.port == 0)
    rn_admin_error(c, "address is one with a port, like 192.0.2.1:8080");
  else
    answer_or_say(c, rn_gossiper_join(rn_admin_node(c)->gossip, &addr),
                  "there are 16 addresses to look at already");
}

static void on_leave(struct rn_admin_client *c, yyjson_val *request) {
  (void)request;
  if (cluster_of(c) != NULL)
    answer_or_say(c, rn_gossiper_leave(rn_admin_node(c)->gossip), "");
}

/* What follows is the same as for SIGTERM to rpcnetd. */
static void on_drain(struct rn_admin_client *c, yyjson_val *request) {
  (void)request;
  const struct rn_parent_msg m = { .type = RN_PARENT_DRAIN };
  struct rn_node *n = rn_admin_node(c);
  yyjson_mut_val *r;
  if (n->drain.phase != RN_DRAIN_NONE)
    rn_admin_error(c, "the node is being drained");
  else if (rn_sys_send(n->channel, &m, sizeof(m), NULL, 0) != RN_OK)
    rn_admin_error(c, "rpcnetd does not answer");
  else
    rn_admin_answer_doc(c, rn_status_answer(&r));
}

const struct rn_admin_request rn_admin_cluster_requests[] = {
  { "members", on_members }, { "workers", on_workers }, { "route", on_route },
  { "events", on_events },   { "tag", on_tag },         { "join", on_join },
  { "leave", on_leave },     { "drain", on_drain },     { NULL, NULL },
};
