/* control/status.c */
#include "control/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <yyjson.h>

#include "control/usage.h"
#include "sys/clock.h"
#include "util/addr.h"
#include "util/err.h"

static char *finish(yyjson_mut_doc *doc, size_t *len) {
  char *text = yyjson_mut_write(doc, 0, len);
  yyjson_mut_doc_free(doc);
  return text;
}

yyjson_mut_doc *rn_status_answer(yyjson_mut_val **result) {
  yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
  if (doc == NULL)
    return NULL;
  yyjson_mut_val *root = yyjson_mut_obj(doc);
  yyjson_mut_doc_set_root(doc, root);
  yyjson_mut_obj_add_bool(doc, root, "ok", true);
  *result = yyjson_mut_obj_add_obj(doc, root, "result");
  return doc;
}

char *rn_status_error_json(const char *text, size_t *len) {
  yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
  if (doc == NULL)
    return NULL;
  yyjson_mut_val *root = yyjson_mut_obj(doc);
  yyjson_mut_doc_set_root(doc, root);
  yyjson_mut_obj_add_bool(doc, root, "ok", false);
  yyjson_mut_obj_add_strcpy(doc, root, "error", text);
  return finish(doc, len);
}

static void add_usage(yyjson_mut_doc *doc, yyjson_mut_val *obj, uint32_t pid) {
  struct rn_usage u = rn_usage_of(pid);
  yyjson_mut_obj_add_uint(doc, obj, "pid", pid);
  yyjson_mut_obj_add_real(doc, obj, "cpu_seconds", u.cpu_s);
  yyjson_mut_obj_add_uint(doc, obj, "memory_bytes", u.memory_bytes);
}

static void add_lcore(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct rn_node *n,
                      uint32_t i) {
  const struct rn_node_lcore *l = &n->lcores[i];
  yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
  yyjson_mut_obj_add_uint(doc, o, "lcore", i);
  yyjson_mut_obj_add_int(doc, o, "core", n->topo.lcores[i].cpu);
  yyjson_mut_obj_add_bool(doc, o, "ready", l->ready);
  yyjson_mut_obj_add_real(doc, o, "busy_share", l->busy_share);
  yyjson_mut_obj_add_uint(doc, o, "connections", l->stats.quic.conns);
  yyjson_mut_obj_add_uint(doc, o, "streams", l->stats.quic.streams);
  yyjson_mut_obj_add_uint(doc, o, "rx_datagrams", l->stats.quic.rx_datagrams);
  yyjson_mut_obj_add_uint(doc, o, "tx_datagrams", l->stats.quic.tx_datagrams);
}

static void add_dataplane(yyjson_mut_doc *doc, yyjson_mut_val *result, const struct rn_node *n) {
  static const char *const states[RN_NODE_STATE_COUNT] = { "not running", "starting", "serving" };
  uint64_t now_ns = rn_sys_now_ns();
  bool running = n->state != RN_NODE_NONE;
  yyjson_mut_val *dp = yyjson_mut_obj_add_obj(doc, result, "dataplane");
  yyjson_mut_obj_add_str(doc, dp, "state", states[n->state]);
  add_usage(doc, dp, running ? n->pid : 0);
  yyjson_mut_obj_add_uint(doc, dp, "starts", n->starts);
  yyjson_mut_obj_add_uint(doc, dp, "epoch", n->topo.cid.epoch);
  yyjson_mut_obj_add_uint(doc, dp, "uptime_seconds",
                          running ? (now_ns - n->started_ns) / RN_NS_PER_S : 0);
  yyjson_mut_val *lcores = yyjson_mut_obj_add_arr(doc, dp, "lcores");
  for (uint32_t i = 0; running && i < n->topo.lcore_count; i++)
    add_lcore(doc, lcores, n, i);
}

static void add_port(yyjson_mut_doc *doc, yyjson_mut_val *result, const struct rn_node *n) {
  const struct rn_topo_port *p = &n->topo.ports[0];
  static const char *const drivers[RN_TOPO_DRIVER_COUNT] = {
    [RN_TOPO_AF_PACKET] = "af_packet",
    [RN_TOPO_AF_XDP] = "af_xdp",
    [RN_TOPO_TAP] = "tap",
    [RN_TOPO_MEMIF] = "memif",
    [RN_TOPO_VIRTIO_USER] = "virtio_user",
    [RN_TOPO_VFIO] = "vfio",
    [RN_TOPO_NULL] = "null",
  };
  yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, result, "port");
  yyjson_mut_obj_add_str(doc, o, "driver", drivers[p->driver]);
  yyjson_mut_obj_add_str(doc, o, "interface", p->interface);
  yyjson_mut_obj_add_str(doc, o, "mode", p->mode == RN_TOPO_OWNED ? "owned" : "shared");
  yyjson_mut_obj_add_uint(doc, o, "udp_port", p->udp_port);
  yyjson_mut_obj_add_uint(doc, o, "mtu", n->lcores[0].mtu);
  yyjson_mut_obj_add_bool(doc, o, "bpf", p->bpf_attached);
}

char *rn_status_json(struct rn_node *n, size_t *len) {
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL)
    return NULL;
  rn_node_sample(n, false);
  yyjson_mut_obj_add_str(doc, r, "node", n->cfg->node.name);
  yyjson_mut_obj_add_str(doc, r, "version", RN_VERSION);
  yyjson_mut_val *control = yyjson_mut_obj_add_obj(doc, r, "control");
  add_usage(doc, control, (uint32_t)getpid());
  add_usage(doc, yyjson_mut_obj_add_obj(doc, r, "rpcnetd"), (uint32_t)getppid());
  add_dataplane(doc, r, n);
  add_port(doc, r, n);
  yyjson_mut_val *cert = yyjson_mut_obj_add_obj(doc, r, "certificate");
  yyjson_mut_obj_add_str(doc, cert, "key", rn_keys_type(n->keys));
  yyjson_mut_obj_add_str(doc, cert, "subject", rn_keys_subject(n->keys));
  yyjson_mut_obj_add_int(doc, cert, "not_after_unix_s", rn_keys_not_after(n->keys));
  return finish(doc, len);
}

/* One object per group, in the order of the metrics; groups are contiguous. */
static void add_metrics(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct rn_lcore_stats *s) {
  yyjson_mut_val *group = NULL;
  const char *group_name = "";
  for (size_t i = 0; i < RN_STATS_VALUES; i++) {
    const struct rn_metric_desc *d = &rn_metric_descs[i];
    if (strcmp(d->group, group_name) != 0) {
      group = yyjson_mut_obj_add_obj(doc, obj, d->group);
      group_name = d->group;
    }
    yyjson_mut_obj_add_uint(doc, group, d->name, rn_stats_value(s, i));
  }
}

static void add_rate(yyjson_mut_doc *doc, yyjson_mut_val *r, const char *group, const char *name,
                     double value) {
  yyjson_mut_val *obj = yyjson_mut_obj_get(r, group);
  if (obj == NULL)
    obj = yyjson_mut_obj_add_obj(doc, r, group);
  yyjson_mut_obj_add_real(doc, obj, name, value);
}

static void add_rates(yyjson_mut_doc *doc, yyjson_mut_val *r, const struct rn_rates *rates) {
#define RN_EXPOSED(group, name, help) add_rate(doc, r, #group, #name, rates->name);
#include "schema/metrics/exposed.def"
}

char *rn_stats_json(struct rn_node *n, size_t *len) {
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL)
    return NULL;
  rn_node_sample(n, false);
  yyjson_mut_obj_add_str(doc, r, "node", n->cfg->node.name);
  add_rates(doc, r, &n->rates);
  yyjson_mut_val *control = yyjson_mut_obj_add_obj(doc, r, "control");
#define RN_METRIC(name, kind, unit, help)                                                          \
  yyjson_mut_obj_add_uint(doc, control, #name, n->stats.name);
#include "schema/metrics/control.def"
#undef RN_METRIC
  yyjson_mut_val *lcores = yyjson_mut_obj_add_arr(doc, r, "lcores");
  uint64_t now_ns = rn_sys_now_ns();
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++) {
    const struct rn_node_lcore *l = &n->lcores[i];
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, lcores);
    yyjson_mut_obj_add_uint(doc, o, "lcore", i);
    yyjson_mut_obj_add_uint(doc, o, "age_ms",
                            l->stats_ns != 0 ? (now_ns - l->stats_ns) / RN_NS_PER_MS : 0);
    add_metrics(doc, yyjson_mut_obj_add_obj(doc, o, "metrics"), &l->stats);
  }
  yyjson_mut_val *metrics = yyjson_mut_obj_add_arr(doc, r, "metrics");
  for (size_t i = 0; i < RN_STATS_VALUES; i++) {
    const struct rn_metric_desc *d = &rn_metric_descs[i];
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, metrics);
    yyjson_mut_obj_add_str(doc, o, "group", d->group);
    yyjson_mut_obj_add_str(doc, o, "name", d->name);
    yyjson_mut_obj_add_str(doc, o, "kind", d->kind == RN_METRIC_GAUGE ? "gauge" : "counter");
    yyjson_mut_obj_add_str(doc, o, "unit", d->unit);
    yyjson_mut_obj_add_str(doc, o, "help", d->help);
  }
  return finish(doc, len);
}
