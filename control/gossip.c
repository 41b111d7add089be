/* control/gossip.c */
#include "control/gossip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "control/node.h"
#include "control/state_file.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "util/err.h"

#define SAVE_NS UINT64_C(100000000)
/* How long it takes to learn again who there is. */
#define HOLD_ROUNDS 3u

struct rn_gossiper {
  struct rn_node *node;
  struct rn_directory *directory; /* NULL: no director */
  uv_timer_t timer;
  struct rn_cluster *cluster; /* NULL: not begun */
  void *mem;
  struct rn_event_log events;
  uint64_t left_ns;  /* 0: we have not */
  const char *state; /* of the run before */
  size_t state_bytes;
  bool unsaved; /* members have changed since cluster.state_file was written */
  uint64_t saved_ns;
  uint64_t said_alive;
  uint32_t said_len; /* what the lcores were last told of us */
  uint8_t said[RN_CLUSTER_SELF_MAX + 1];
  bool warned; /* that nobody is asked who he is */
};

static uint64_t now_ns(void) { return rn_sys_now_ns(); }

/* ---- to the lcores ---- */

static bool is_serving(const struct rn_gossiper *g) { return g->node->state == RN_NODE_SERVING; }

static void send_self(struct rn_gossiper *g) {
  const struct rn_msg_gossip_self m = { .alive = g->said_alive };
  for (uint32_t i = 0; is_serving(g) && i < g->node->topo.lcore_count; i++)
    rn_node_send(g->node, i, RN_MSG_GOSSIP_SELF, &m, g->said, g->said_len);
}

/* The lcores are told what they may say of us when we are late, each time that it changes. */
static void publish_self(struct rn_gossiper *g) {
  struct rn_bin_writer w = { .cap = RN_CLUSTER_SELF_MAX };
  uint8_t buf[RN_CLUSTER_SELF_MAX];
  w.buf = buf;
  if (g->left_ns == 0 || now_ns() - g->left_ns < RN_GOSSIPER_LEAVING_NS)
    rn_member_put(&w, rn_members_self(rn_cluster_members(g->cluster)));
  RN_ASSERT(w.err == RN_OK); /* the cluster keeps us below RN_CLUSTER_SELF_MAX */
  const uint64_t alive = rn_members_stats(rn_cluster_members(g->cluster))->alive;
  if (w.len == g->said_len && memcmp(buf, g->said, w.len) == 0 && alive == g->said_alive)
    return;
  g->said_alive = alive;
  g->said_len = (uint32_t)w.len;
  memcpy(g->said, buf, w.len);
  send_self(g);
}

/* rpcnetd writes, and waits for the disk: not more often than that. */
static void save(struct rn_gossiper *g) {
  char *text;
  size_t len;
  uint32_t left_out;
  if (!g->unsaved || g->node->cfg->cluster.state_file[0] == '\0' ||
      now_ns() - g->saved_ns < SAVE_NS ||
      rn_state_write(rn_cluster_members(g->cluster), &text, &len, &left_out) != RN_OK)
    return;
  if (rn_node_save(g->node, text, len) == RN_OK) {
    g->unsaved = false;
    g->saved_ns = now_ns();
    if (left_out > 0)
      rn_warn("cluster.state_file: no room for %u members", left_out);
  }
  free(text);
}

static void on_timer(uv_timer_t *t);

/* After whatever may have changed the cluster: what we say of us, and when it wants to be woken. */
static void settle(struct rn_gossiper *g) {
  publish_self(g);
  uint64_t next = rn_cluster_next_ns(g->cluster);
  const uint64_t now = now_ns();
  if (g->directory != NULL) {
    rn_directory_tick(g->directory, rn_cluster_members(g->cluster), now);
    const uint64_t due = rn_directory_next_ns(g->directory);
    next = due < next ? due : next;
  }
  save(g);
  const uint64_t ms = next > now ? (next - now + RN_NS_PER_MS - 1) / RN_NS_PER_MS : 0;
  uv_timer_start(&g->timer, on_timer, ms, 0);
}

/* Without a data plane nobody can be asked, and nobody's silence means anything: rounds are not missed, they come late, and the cluster knows what that
 * means. */
static void on_timer(uv_timer_t *t) {
  struct rn_gossiper *g = t->data;
  if (!is_serving(g))
    return;
  uv_update_time(t->loop);
  rn_cluster_tick(g->cluster, now_ns());
  settle(g);
}

/* ---- what the cluster wants ---- */

/* All that is asked of one peer goes over one lcore, which so has a connection to it. */
static uint32_t lcore_for(const struct rn_gossiper *g, const struct rn_addr *to) {
  uint32_t h = to->port;
  for (size_t i = 0; i < sizeof(to->ip); i++)
    h = h * 31 + to->ip[i];
  return (h ^ h >> 16) % g->node->topo.lcore_count;
}

static void on_ask(void *app, uint32_t id, const struct rn_addr *to, uint64_t wait_ns,
                   const uint8_t *msg, size_t len) {
  struct rn_gossiper *g = app;
  const struct rn_msg_gossip_ask m = { .wait_ns = wait_ns, .id = id, .to = *to };
  /* What is lost here the cluster takes for what it is: an answer that did not come. */
  if (is_serving(g))
    rn_node_send(g->node, lcore_for(g, to), RN_MSG_GOSSIP_ASK, &m, msg, len);
}

/* A request's number among all lcores and their successors: the lcore's own has its bits 16 to 31 free. */
static uint64_t request_of(const struct rn_gossiper *g, uint32_t lcore_idx, uint64_t number) {
  return (number & UINT64_C(0xffffffff0000ffff)) | lcore_idx << 16 |
         (uint64_t)(g->node->generation & 0xff) << 24;
}

static void on_answer(void *app, uint64_t request, const uint8_t *msg, size_t len) {
  struct rn_gossiper *g = app;
  const uint32_t lcore_idx = request >> 16 & 0xff, generation = request >> 24 & 0xff;
  const struct rn_msg_gossip_reply m = { .number = request & UINT64_C(0xffffffff0000ffff) };
  if (g->left_ns != 0 && now_ns() - g->left_ns >= RN_GOSSIPER_LEAVING_NS)
    len = 0;
  if (is_serving(g) && generation == (g->node->generation & 0xff) &&
      lcore_idx < g->node->topo.lcore_count)
    rn_node_send(g->node, lcore_idx, RN_MSG_GOSSIP_REPLY, &m, msg, len);
}

static void log_event(enum rn_cluster_event_type type, const struct rn_member *who,
                      const struct rn_partition *p) {
  static const char *const sides[] = { "together", "may have come apart", "has come apart" };
  char addr[RN_ADDR_TEXT_BYTES];
  if (type == RN_CLUSTER_PARTITION)
    rn_warn("cluster: the network %s: %u members reached, %u not%s", sides[p->state], p->reached,
            p->out, p->minority ? "; this is the smaller side" : "");
  else
    rn_info("cluster: %s %s (%s), incarnation %llu", who->id, rn_event_name(type),
            rn_addr_text(&who->addr, addr), (unsigned long long)who->incarnation);
}

static void on_event(void *app, enum rn_cluster_event_type type, const struct rn_member *who) {
  struct rn_gossiper *g = app;
  g->unsaved = true;
  if (g->directory != NULL)
    rn_directory_changed(g->directory);
  rn_event_log_add(&g->events, rn_sys_wall_ns(), type, who);
  /* The first events come from rn_cluster_init's callers: g->cluster is set by then. */
  log_event(type, who, rn_cluster_partition(g->cluster));
}

static const struct rn_cluster_io io = { .ask = on_ask, .answer = on_answer, .event = on_event };

/* ---- begin ---- */

/* Who we are, as bytes and then as the update that they are: tags are only ever read from bytes. */
static int make_self(const struct rn_gossiper *g, const struct rn_addr *addr, uint8_t *buf,
                     size_t cap, struct rn_swim_update *out) {
  const struct rn_config_cluster *cfg = &g->node->cfg->cluster;
  struct rn_bin_writer w = { .buf = buf, .cap = cap };
  char id[RN_MEMBER_ID_MAX + 1], text[RN_ADDR_TEXT_BYTES];
  /* As the published nodes do: above all that we had before. Where the clock was set back, we refute what we hear of ourselves. */
  const uint64_t incarnation = rn_sys_wall_ns() / RN_NS_PER_MS;
  size_t used;
  if (cfg->node_id[0] != '\0')
    snprintf(id, sizeof(id), "%s", cfg->node_id);
  else
    snprintf(id, sizeof(id), "node-%s", rn_addr_text(addr, text));
  rn_swim_put_update(&w, (struct rn_bin_str){ id, strlen(id) }, addr, incarnation, RN_SWIM_ALIVE,
                     cfg->tags.count);
  rn_tags_put(&w, &cfg->tags);
  return w.err == RN_OK ? rn_swim_update_get(buf, w.len, out, &used) : RN_ERR_LIMIT;
}

static void remember(void *app, const struct rn_swim_update *u) {
  struct rn_gossiper *g = app;
  rn_cluster_remember(g->cluster, u, now_ns());
}

/* Without the file the seeds are all that is known; that is no reason not to begin. */
static void read_state(struct rn_gossiper *g) {
  char why[256];
  if (g->state != NULL &&
      rn_state_read(g->state, g->state_bytes, remember, g, why, sizeof(why)) != RN_OK)
    rn_warn("cluster.state_file %s is not used: %s", g->node->cfg->cluster.state_file, why);
  g->state = NULL;
}

static int begin(struct rn_gossiper *g, const struct rn_addr *addr) {
  const struct rn_config_cluster *cfg = &g->node->cfg->cluster;
  const struct rn_cluster_config c = { .capacity = cfg->members,
                                       .interval_ns = cfg->gossip_interval_ns,
                                       .probe_ns = cfg->probe_timeout_ns,
                                       .help_ns = UINT64_C(400000000),
                                       .indirect_probes = cfg->indirect_probes,
                                       .suspicion_multiplier = cfg->suspicion_multiplier,
                                       .tombstone_ns = cfg->tombstone_ns };
  uint8_t buf[2 * RN_CLUSTER_SELF_MAX], random[24];
  struct rn_swim_update self;
  uint64_t seed;
  if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
    return RN_ERR_SYS;
  memcpy(&seed, random, sizeof(seed));
  int err = make_self(g, addr, buf, sizeof(buf), &self);
  if (err != RN_OK)
    return err;
  g->mem = aligned_alloc(64, rn_cluster_footprint(&c));
  if (g->mem == NULL)
    return RN_ERR_SYS;
  err = rn_cluster_init(g->mem, &c, &self, seed, random + 8, &io, g, now_ns(), &g->cluster);
  for (uint32_t i = 0; err == RN_OK && i < cfg->seeds_count; i++) {
    if (!rn_addr_eq(&cfg->seeds[i], addr))
      err = rn_cluster_seed(g->cluster, &cfg->seeds[i]);
  }
  if (err == RN_OK)
    read_state(g);
  return err;
}

/* Nobody can be reached at an address that is not one. */
static bool usable(const struct rn_addr *addr) {
  static const uint8_t any[sizeof(addr->ip)];
  return addr->family != 0 && addr->port != 0 && memcmp(addr->ip, any, sizeof(any)) != 0;
}

static void warn_of_strangers(struct rn_gossiper *g) {
  if (!g->warned && !g->node->cfg->tls.require_client_cert &&
      g->node->cfg->cluster.allowed_certs_count == 0)
    rn_warn("cluster: whoever can connect can tell this node who is a member: set "
            "tls.require_client_cert or cluster.allowed_certs where that matters");
  g->warned = true;
}

void rn_gossiper_serving(struct rn_gossiper *g, const struct rn_addr *addr) {
  const struct rn_addr *ours = g->node->cfg->cluster.advertise_addr.family != 0
                                   ? &g->node->cfg->cluster.advertise_addr
                                   : addr;
  char text[RN_ADDR_TEXT_BYTES];
  if (g->cluster == NULL) {
    if (!usable(ours)) {
      rn_error("cluster: the port has no address that others could reach: set "
               "cluster.advertise_addr");
      return;
    }
    int err = begin(g, ours);
    if (err != RN_OK) {
      rn_error("cluster: cannot take part as %s: %s", rn_addr_text(ours, text), rn_err_text(err));
      g->cluster = NULL;
      free(g->mem);
      g->mem = NULL;
      return;
    }
    rn_info("cluster: taking part as %s at %s", rn_members_self(rn_cluster_members(g->cluster))->id,
            rn_addr_text(ours, text));
    warn_of_strangers(g);
  }
  g->said_len = UINT32_MAX; /* these lcores were told nothing */
  if (g->directory != NULL)
    rn_directory_serving(g->directory, now_ns(),
                         g->node->adopted ? HOLD_ROUNDS * g->node->cfg->cluster.gossip_interval_ns
                                          : 0);
  settle(g);
}

int rn_gossiper_new(uv_loop_t *loop, struct rn_node *n, const char *state, size_t state_bytes) {
  struct rn_gossiper *g = calloc(1, sizeof(*g));
  if (g == NULL)
    return RN_ERR_SYS;
  g->node = n;
  g->state = state;
  g->state_bytes = state_bytes;
  if (n->cfg->director.enabled)
    g->directory = rn_directory_new(n);
  if ((n->cfg->director.enabled && g->directory == NULL) || uv_timer_init(loop, &g->timer) != 0) {
    rn_gossiper_free(g);
    return RN_ERR_SYS;
  }
  g->timer.data = g;
  n->gossip = g;
  return RN_OK;
}

void rn_gossiper_free(struct rn_gossiper *g) {
  if (g == NULL)
    return;
  rn_directory_free(g->directory);
  free(g->mem);
  free(g);
}

/* ---- from the lcores ---- */

void rn_gossiper_on_message(struct rn_gossiper *g, uint32_t lcore_idx, const struct rn_msg *m) {
  if (g == NULL || g->cluster == NULL)
    return; /* the lcore answers by itself */
  if (m->type == RN_MSG_GOSSIP_HEARD)
    (void)rn_cluster_heard(g->cluster, &m->gossip_heard.from,
                           request_of(g, lcore_idx, m->gossip_heard.number), m->tail, m->tail_bytes,
                           now_ns());
  else if (m->gossip_came.status == RN_OK)
    rn_cluster_answered(g->cluster, m->gossip_came.id, m->tail, m->tail_bytes, now_ns());
  else
    rn_cluster_failed(g->cluster, m->gossip_came.id, now_ns());
  settle(g);
}

void rn_gossiper_second(struct rn_gossiper *g) {
  if (g == NULL || g->cluster == NULL)
    return;
  if (is_serving(g))
    settle(g);
  save(g);
}

/* ---- for others ---- */

struct rn_directory *rn_gossiper_directory(struct rn_gossiper *g) {
  return g != NULL ? g->directory : NULL;
}
struct rn_cluster *rn_gossiper_cluster(struct rn_gossiper *g) {
  return g != NULL ? g->cluster : NULL;
}
const struct rn_event_log *rn_gossiper_events(const struct rn_gossiper *g) { return &g->events; }
uint64_t rn_gossiper_left_ns(const struct rn_gossiper *g) { return g->left_ns; }

static struct rn_bin_str str(const char *text) { return (struct rn_bin_str){ text, strlen(text) }; }

int rn_gossiper_tag_set(struct rn_gossiper *g, const char *key, const char *value) {
  if (g->cluster == NULL || g->left_ns != 0)
    return RN_ERR_STATE;
  int err = rn_cluster_tag_set(g->cluster, str(key), str(value));
  settle(g);
  return err;
}

int rn_gossiper_tag_unset(struct rn_gossiper *g, const char *key) {
  if (g->cluster == NULL || g->left_ns != 0)
    return RN_ERR_STATE;
  int err = rn_cluster_tag_unset(g->cluster, str(key));
  settle(g);
  return err;
}

int rn_gossiper_join(struct rn_gossiper *g, const struct rn_addr *seed) {
  if (g->cluster == NULL || g->left_ns != 0)
    return RN_ERR_STATE;
  return usable(seed) ? rn_cluster_seed(g->cluster, seed) : RN_ERR_INVAL;
}

/* A published director takes a node that left for Alive at its next answer, but chooses by tags: so these go first. */
static void drop_tags(struct rn_gossiper *g) {
  const struct rn_member *me = rn_members_self(rn_cluster_members(g->cluster));
  struct rn_bin_str key, value;
  uint16_t pos = 0;
  while (rn_tags_next(&me->tags, &pos, &key, &value)) {
    char copy[RN_TAG_MAX + 1];
    memcpy(copy, key.p, key.len);
    copy[key.len] = '\0';
    if (rn_cluster_tag_unset(g->cluster, str(copy)) == RN_OK)
      pos = 0;
  }
}

int rn_gossiper_leave(struct rn_gossiper *g) {
  if (g->cluster == NULL || g->left_ns != 0)
    return RN_ERR_STATE;
  rn_info("cluster: leaving");
  drop_tags(g);
  rn_cluster_leave(g->cluster, now_ns());
  g->left_ns = now_ns();
  settle(g);
  return RN_OK;
}
