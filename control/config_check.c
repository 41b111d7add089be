/* control/config_check.c: what the keys of a configuration say against each other.
 *
 * A clash between two keys is reported where the first of them was given, or else the second; not at all when one of them is wrong by
 * itself, because its default says nothing. */
#include <string.h>

#include "cluster/cluster.h"
#include "control/config_load.h"
#include "control/config_value.h"

#define BUFFER_BYTES_MIN 2304u /* what a packet buffer of ordinary size takes at least */
#define UNIX_PATH_MAX    107u  /* bytes of a unix socket's path */

#define HALF_OPEN_AUTO     1024u
#define SIGNING_QUEUE_AUTO 256u

/* ---- reporting ---- */

static const char *key_path(enum rn_config_key_id id, char out[64]) {
  const struct rn_config_key *k = &rn_config_keys[id];
  snprintf(out, 64, "%s.%s", rn_config_sections[k->section].name, k->name);
  return out;
}

static bool good(const struct rn_config_load *l, enum rn_config_key_id id) {
  return l->given[id].seen != RN_CONFIG_BAD;
}

static bool given(const struct rn_config_load *l, enum rn_config_key_id id) {
  return l->given[id].seen == RN_CONFIG_GIVEN;
}

static struct rn_config_place place_of(const struct rn_config_load *l, enum rn_config_key_id a,
                                       enum rn_config_key_id b) {
  if (given(l, a))
    return l->given[a].at;
  return given(l, b) ? l->given[b].at : l->section_at[rn_config_keys[a].section];
}

static void clash(struct rn_config_load *l, bool wrong, enum rn_config_key_id a,
                  enum rn_config_key_id b, const char *text) {
  char path[64];
  if (wrong && good(l, a) && good(l, b))
    rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, place_of(l, a, b), key_path(a, path), "%s",
                     text);
}

static uint64_t number(const struct rn_config_load *l, enum rn_config_key_id id) {
  const struct rn_config_key *k = &rn_config_keys[id];
  uint64_t n = 0;
  memcpy(&n, (const uint8_t *)&l->cfg + rn_config_sections[k->section].offset + k->offset,
         k->bytes);
  return n;
}

static const char *number_text(const struct rn_config_load *l, enum rn_config_key_id id,
                               char out[RN_CONFIG_VALUE_BYTES]) {
  uint64_t n = number(l, id);
  return rn_config_value_text(&rn_config_keys[id], &n, out);
}

/* a <= b, or a < b where they must differ. */
static void at_most(struct rn_config_load *l, enum rn_config_key_id a, enum rn_config_key_id b,
                    bool below) {
  char path[64], other[64], a_text[RN_CONFIG_VALUE_BYTES], b_text[RN_CONFIG_VALUE_BYTES];
  uint64_t x = number(l, a), y = number(l, b);
  if (!good(l, a) || !good(l, b) || (below ? x < y : x <= y))
    return;
  rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, place_of(l, a, b), key_path(a, path),
                   "found %s%s; allowed: %s %s, which is %s%s", number_text(l, a, a_text),
                   given(l, a) ? "" : " by default", below ? "less than" : "at most",
                   key_path(b, other), number_text(l, b, b_text), given(l, b) ? "" : " by default");
}

/* ---- lists ---- */

/* No two elements of a list are the same in their first bytes. */
static void unique(struct rn_config_load *l, enum rn_config_key_id id, size_t bytes) {
  const struct rn_config_key *k = &rn_config_keys[id];
  const uint8_t *base = (const uint8_t *)&l->cfg + rn_config_sections[k->section].offset;
  const uint8_t *first = base + k->offset;
  char path[64];
  uint32_t count;
  memcpy(&count, base + k->count_offset, sizeof(count));
  for (uint32_t i = 1; i < count && good(l, id); i++)
    for (uint32_t j = 0; j < i; j++)
      if (memcmp(first + (size_t)i * k->bytes, first + (size_t)j * k->bytes, bytes) == 0) {
        rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, l->given[id].at, key_path(id, path),
                         "[%u] and [%u] are the same", j, i);
        break;
      }
}

/* ---- sections ---- */

static void check_node(struct rn_config_load *l) {
  const struct rn_config_node *n = &l->cfg.node;
  clash(l, n->control_uid != 0 && n->control_uid == n->dataplane_uid, RN_CONFIG_node_dataplane_uid,
        RN_CONFIG_node_control_uid,
        "the same as node.control_uid: the data plane could then read the private key's process");
  clash(l, (n->control_uid == 0) != (n->control_gid == 0), RN_CONFIG_node_control_gid,
        RN_CONFIG_node_control_uid, "keep goes for node.control_uid and node.control_gid together");
  clash(l, (n->dataplane_uid == 0) != (n->dataplane_gid == 0), RN_CONFIG_node_dataplane_gid,
        RN_CONFIG_node_dataplane_uid,
        "keep goes for node.dataplane_uid and node.dataplane_gid together");
  clash(l, n->run_dir[0] != '/', RN_CONFIG_node_run_dir, RN_CONFIG_node_run_dir,
        "has to begin with /");
  const char *socket = l->cfg.admin.socket;
  size_t before = socket[0] == '/' ? 0 : strlen(n->run_dir) + 1;
  clash(l, socket[0] == 0, RN_CONFIG_admin_socket, RN_CONFIG_admin_socket, "empty");
  clash(
      l, before + strlen(socket) > UNIX_PATH_MAX, RN_CONFIG_admin_socket, RN_CONFIG_node_run_dir,
      "with node.run_dir before it, longer than the 107 bytes that a unix socket's path may have");
}

static void check_http(struct rn_config_load *l) {
  struct rn_addr a;
  bool wrong = rn_addr_parse(l->cfg.http.listen, &a) != RN_OK || a.port == 0;
  clash(l, wrong, RN_CONFIG_http_listen, RN_CONFIG_http_listen,
        "allowed: an address and a port, such as 127.0.0.1:9464 or [::1]:9464");
}

static bool on_link(const struct rn_addr *a, const struct rn_config_prefix *p) {
  if (a->family != p->addr.family)
    return false;
  for (uint32_t bit = 0; bit < p->prefix_bits; bit++) {
    uint8_t mask = (uint8_t)(0x80 >> bit % 8);
    if ((a->ip[bit / 8] & mask) != (p->addr.ip[bit / 8] & mask))
      return false;
  }
  return true;
}

static void check_gateway(struct rn_config_load *l, const struct rn_addr *gateway,
                          enum rn_config_key_id id) {
  const struct rn_config_port *p = &l->cfg.port;
  bool ours = false, reachable = gateway->family == 6 && gateway->ip[0] == 0xfe; /* link-local */
  if (gateway->family == 0)
    return;
  for (uint32_t i = 0; i < p->addresses_count; i++) {
    ours |= rn_addr_eq(gateway, &p->addresses[i].addr);
    reachable |= on_link(gateway, &p->addresses[i]);
  }
  enum rn_config_key_id addresses = RN_CONFIG_port_addresses;
  clash(l, p->mode == RN_TOPO_SHARED, id, RN_CONFIG_port_mode,
        "has no meaning in shared mode, in which the kernel chooses the route");
  clash(l, p->mode == RN_TOPO_OWNED && ours, id, addresses, "one of port.addresses itself");
  clash(l, p->mode == RN_TOPO_OWNED && !reachable, id, addresses,
        "on no link of port.addresses: it could never be reached");
}

static void check_port(struct rn_config_load *l) {
  const struct rn_config_port *p = &l->cfg.port;
  clash(l, p->driver == RN_TOPO_AF_PACKET && p->interface[0] == 0, RN_CONFIG_port_interface,
        RN_CONFIG_port_driver, "required by port.driver af_packet and not given");
  clash(l, p->driver == RN_TOPO_NULL && p->interface[0] != 0, RN_CONFIG_port_interface,
        RN_CONFIG_port_driver, "port.driver null has no interface");
  clash(l, p->driver == RN_TOPO_NULL && p->mode == RN_TOPO_SHARED, RN_CONFIG_port_mode,
        RN_CONFIG_port_driver, "port.driver null has no kernel to share with; allowed: owned");
  clash(l, p->driver == RN_TOPO_NULL && p->bpf == RN_CONFIG_BPF_REQUIRED, RN_CONFIG_port_bpf,
        RN_CONFIG_port_driver,
        "port.driver null has no interface to attach to; allowed: auto, off");
  clash(l, p->mode == RN_TOPO_OWNED && p->addresses_count == 0, RN_CONFIG_port_addresses,
        RN_CONFIG_port_mode, "required by port.mode owned: at least one address");
  clash(l, p->mode == RN_TOPO_SHARED && p->addresses_count > 0, RN_CONFIG_port_addresses,
        RN_CONFIG_port_mode,
        "port.mode shared takes the interface's own; allowed: none, or owned mode");
  unique(l, RN_CONFIG_port_addresses, sizeof(struct rn_addr));
  check_gateway(l, &p->gateway4, RN_CONFIG_port_gateway4);
  check_gateway(l, &p->gateway6, RN_CONFIG_port_gateway6);
  clash(l, (p->rx_descriptors & (p->rx_descriptors - 1)) != 0, RN_CONFIG_port_rx_descriptors,
        RN_CONFIG_port_rx_descriptors, "not a power of two");
  clash(l, (p->tx_descriptors & (p->tx_descriptors - 1)) != 0, RN_CONFIG_port_tx_descriptors,
        RN_CONFIG_port_tx_descriptors, "not a power of two");
}

static void check_lcores(struct rn_config_load *l) {
  struct rn_config_lcores *c = &l->cfg.lcores;
  clash(l, c->count != 0 && c->cores_count != 0 && c->count != c->cores_count,
        RN_CONFIG_lcores_count, RN_CONFIG_lcores_cores,
        "another number than lcores.cores lists; allowed: as many, or auto");
  unique(l, RN_CONFIG_lcores_cores, sizeof(uint32_t));
  if (c->count == 0)
    c->count = c->cores_count > 0 ? c->cores_count : 1;
  const struct rn_config_memory *m = &l->cfg.memory;
  clash(l, l->cfg.port.rx_descriptors + l->cfg.port.tx_descriptors > m->packet_buffers,
        RN_CONFIG_memory_packet_buffers, RN_CONFIG_port_rx_descriptors,
        "fewer than port.rx_descriptors and port.tx_descriptors together");
  clash(l,
        m->packet_memory != 0 &&
            (uint64_t)c->count * m->packet_buffers * BUFFER_BYTES_MIN > m->packet_memory,
        RN_CONFIG_memory_packet_memory, RN_CONFIG_memory_packet_buffers,
        "too small for memory.packet_buffers of 2304 bytes for each lcore");
}

static void check_tls(struct rn_config_load *l) {
  const struct rn_config_tls *t = &l->cfg.tls;
  bool named = t->key[0] != 0;
  clash(l, named && strcmp(t->cert, t->key) == 0, RN_CONFIG_tls_key, RN_CONFIG_tls_cert,
        "the same file as tls.cert, which the data plane reads: the key needs a file of its own");
  clash(l, named && strcmp(t->ca, t->key) == 0, RN_CONFIG_tls_key, RN_CONFIG_tls_ca,
        "the same file as tls.ca, which the data plane reads: the key needs a file of its own");
  clash(l, t->require_client_cert && t->ca[0] == 0, RN_CONFIG_tls_require_client_cert,
        RN_CONFIG_tls_ca, "needs tls.ca, which says whose certificates count");
  unique(l, RN_CONFIG_tls_cipher_suites, sizeof(t->cipher_suites[0]));
  unique(l, RN_CONFIG_tls_groups, sizeof(t->groups[0]));
}

static void check_methods(struct rn_config_load *l) {
  const struct rn_config_rpc *r = &l->cfg.rpc;
  const struct rn_config_place *item_at = l->item_at[RN_CONFIG_SECTION_method];
  for (uint32_t i = 0; i < r->methods_count && good(l, RN_CONFIG_rpc_methods); i++) {
    const struct rn_config_method *m = &r->methods[i];
    char path[64];
    snprintf(path, sizeof(path), "rpc.methods[%u]", i);
    for (uint32_t j = 0; j < i; j++)
      if (strcmp(m->name, r->methods[j].name) == 0)
        rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, item_at[i], path,
                         "the method of rpc.methods[%u] again", j);
    if (m->max_request_bytes > l->cfg.limits.request_buffer &&
        good(l, RN_CONFIG_limits_request_buffer))
      rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, item_at[i], path,
                       "max_request_bytes is more than limits.request_buffer");
  }
}

static uint32_t lesser(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void check_limits(struct rn_config_load *l) {
  struct rn_config_limits *m = &l->cfg.limits;
  if (m->half_open == 0)
    m->half_open = lesser(HALF_OPEN_AUTO, m->connections);
  if (m->signing_queue == 0)
    m->signing_queue = lesser(SIGNING_QUEUE_AUTO, m->half_open);
  if (m->calls == 0)
    m->calls = m->streams;
  at_most(l, RN_CONFIG_limits_half_open, RN_CONFIG_limits_connections, false);
  at_most(l, RN_CONFIG_limits_signing_queue, RN_CONFIG_limits_half_open, false);
  at_most(l, RN_CONFIG_quic_max_concurrent_streams, RN_CONFIG_limits_streams, false);
  at_most(l, RN_CONFIG_quic_stream_window, RN_CONFIG_quic_connection_window, false);
  at_most(l, RN_CONFIG_rpc_max_request_bytes, RN_CONFIG_limits_request_buffer, false);
  at_most(l, RN_CONFIG_rpc_max_item_bytes, RN_CONFIG_limits_request_buffer, false);
  if (l->cfg.quic.max_idle_timeout_ns != 0)
    at_most(l, RN_CONFIG_quic_keep_alive_interval, RN_CONFIG_quic_max_idle_timeout, true);
}

/* ---- the cluster ---- */

/* An id that stands for a node whose id is not known yet, docs/cluster.md. */
static bool is_alias(const char *id) {
  struct rn_addr a;
  return strncmp(id, "seed-", 5) == 0 && rn_addr_parse(id + 5, &a) == RN_OK && a.port != 0;
}

/* What this node's own update takes in a message, with its default id and address at their longest. */
static size_t update_bytes(const struct rn_config_cluster *c) {
  static const char id[] = "node-[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535";
  struct rn_addr addr = c->advertise_addr;
  uint8_t buf[2048];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  if (addr.family == 0)
    addr = (struct rn_addr){ .family = 6, .port = 1 };
  const char *text = c->node_id[0] != 0 ? c->node_id : id;
  rn_swim_put_update(&w, (struct rn_bin_str){ text, strlen(text) }, &addr, 0, RN_SWIM_ALIVE,
                     c->tags.count + 1u);
  rn_swim_put_tag(&w, (struct rn_bin_str){ RN_CLUSTER_TAG, strlen(RN_CLUSTER_TAG) },
                  (struct rn_bin_str){ "1", 1 });
  rn_tags_put(&w, &c->tags);
  return w.len;
}

/* rpcnetd replaces the state file: with the name of another one, that would be lost. */
static void check_state_file(struct rn_config_load *l) {
  const struct rn_config *c = &l->cfg;
  const struct {
    const char *path;
    enum rn_config_key_id id;
  } others[] = {
    { c->tls.cert, RN_CONFIG_tls_cert },     { c->tls.key, RN_CONFIG_tls_key },
    { c->tls.ca, RN_CONFIG_tls_ca },         { c->node.secret_file, RN_CONFIG_node_secret_file },
    { c->cluster.ca, RN_CONFIG_cluster_ca },
  };
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    bool same = others[i].path[0] != 0 && strcmp(others[i].path, c->cluster.state_file) == 0;
    char path[64], text[128];
    snprintf(text, sizeof(text), "the same file as %s, which it would replace",
             key_path(others[i].id, path));
    clash(l, same, RN_CONFIG_cluster_state_file, others[i].id, text);
  }
}

static void check_cluster(struct rn_config_load *l) {
  const struct rn_config_cluster *c = &l->cfg.cluster;
  const struct rn_config_tls *t = &l->cfg.tls;
  struct rn_bin_str value, marker = { RN_CLUSTER_TAG, strlen(RN_CLUSTER_TAG) };
  clash(l, is_alias(c->node_id), RN_CONFIG_cluster_node_id, RN_CONFIG_cluster_node_id,
        "seed- and an address stand for a node whose id is not known");
  clash(l, rn_tags_get(&c->tags, marker, &value), RN_CONFIG_cluster_tags, RN_CONFIG_cluster_tags,
        "rpcnet.swim is not to be set: by it this node says what it understands");
  size_t bytes = update_bytes(c);
  char text[160];
  snprintf(text, sizeof(text),
           "with cluster.node_id %zu bytes of a message, counting 16 more for each tag; allowed: "
           "at most %u",
           bytes, RN_CLUSTER_SELF_MAX);
  clash(l, bytes > RN_CLUSTER_SELF_MAX, RN_CONFIG_cluster_tags, RN_CONFIG_cluster_node_id, text);
  unique(l, RN_CONFIG_cluster_seeds, sizeof(c->seeds[0]));
  unique(l, RN_CONFIG_cluster_allowed_certs, sizeof(c->allowed_certs[0]));
  at_most(l, RN_CONFIG_cluster_probe_timeout, RN_CONFIG_cluster_gossip_interval, false);
  /* Where there is no gossip, what is not said of it is no mistake. */
  const bool gossips = c->enabled || given(l, RN_CONFIG_cluster_ping_interval);
  if (gossips && l->cfg.quic.max_idle_timeout_ns != 0)
    at_most(l, RN_CONFIG_cluster_ping_interval, RN_CONFIG_quic_max_idle_timeout, true);
  clash(l, t->key[0] != 0 && strcmp(c->ca, t->key) == 0, RN_CONFIG_cluster_ca, RN_CONFIG_tls_key,
        "the same file as tls.key, and the data plane reads it: the key needs a file of its own");
  clash(l, c->allowed_certs_count > 0 && t->ca[0] == 0, RN_CONFIG_cluster_allowed_certs,
        RN_CONFIG_tls_ca, "needs tls.ca: without it clients are not asked for a certificate");
  check_state_file(l);
}

/* A * ends a pattern. */
static bool is_pattern(const char *method) {
  const char *star = strchr(method, '*');
  return star == NULL || star[1] == 0;
}

/* Whether all that fits b fits a. */
static bool covers(const char *a, const char *b) {
  size_t n = strlen(a);
  bool prefix = n > 0 && a[n - 1] == '*';
  return prefix ? strncmp(a, b, n - 1) == 0 : strcmp(a, b) == 0;
}

/* What a route for every worker cannot be besides; NULL: nothing is wrong with it. */
static const char *wrong_for_all(const struct rn_config_route *r) {
  if (strchr(r->method, '*') != NULL)
    return "call_all needs a method without *";
  if (r->idempotent || r->try_timeout_ns != 0 || r->hedge_ns != 0)
    return "idempotent, try_timeout and hedge have no meaning beside call_all: true, for no "
           "worker is asked twice";
  if (r->near_first || r->strategy != RN_CONFIG_STRATEGY_LEAST_CONNECTIONS)
    return "strategy and near_first have no meaning beside call_all: true, for nobody is chosen";
  return NULL;
}

static void check_route(struct rn_config_load *l, uint32_t i) {
  const struct rn_config_route *all = l->cfg.director.routes, *r = &all[i];
  const char *wrong = NULL;
  char path[64];
  if (!is_pattern(r->method))
    wrong = "a * has its place at the end of a method only";
  else if (r->call_all)
    wrong = wrong_for_all(r);
  else if (!r->idempotent && r->try_timeout_ns != 0)
    wrong = "try_timeout needs idempotent: true, because another worker gets the call again";
  else if (!r->idempotent && r->hedge_ns != 0)
    wrong = "hedge needs idempotent: true, because two workers get the call";
  else if (r->timeout_ns != 0 && r->try_timeout_ns > r->timeout_ns)
    wrong = "try_timeout is more than timeout";
  else if (r->timeout_ns != 0 && r->hedge_ns >= r->timeout_ns && r->hedge_ns != 0)
    wrong = "hedge is not less than timeout";
  snprintf(path, sizeof(path), "director.routes[%u]", i);
  struct rn_config_place at = l->item_at[RN_CONFIG_SECTION_route][i];
  if (wrong != NULL)
    rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, at, path, "%s", wrong);
  for (uint32_t j = 0; j < i; j++)
    if (wrong == NULL && covers(all[j].method, r->method)) {
      rn_config_report(l->errs, RN_CONFIG_CONTRADICTION, at, path,
                       "would never count: director.routes[%u] comes first and fits all that this "
                       "one does",
                       j);
      break;
    }
}

static void check_director(struct rn_config_load *l) {
  const struct rn_config_director *d = &l->cfg.director;
  bool alone = !l->cfg.cluster.enabled;
  clash(l, alone && d->enabled, RN_CONFIG_director_enabled, RN_CONFIG_cluster_enabled,
        "needs cluster.enabled: true, by which workers are known");
  clash(l, alone && d->routes_count > 0, RN_CONFIG_director_routes, RN_CONFIG_cluster_enabled,
        "need cluster.enabled: true, by which workers are known");
  at_most(l, RN_CONFIG_director_warm_connections, RN_CONFIG_director_connections_per_worker, false);
  for (uint32_t i = 0; i < d->routes_count && good(l, RN_CONFIG_director_routes); i++)
    check_route(l, i);
}

void rn_config_check(struct rn_config_load *l) {
  check_node(l);
  check_http(l);
  check_port(l);
  check_lcores(l);
  check_tls(l);
  check_limits(l);
  check_methods(l);
  check_cluster(l);
  check_director(l);
}
