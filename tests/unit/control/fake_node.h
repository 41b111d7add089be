/* tests/unit/control/fake_node.h: a node whose data plane is two statistics pages. */
#pragma once
#include "rn_test.h"

#include "control/node.h"

#define FAKE_LCORES 2

struct fake_node {
  struct rn_config cfg;
  struct rn_node node;
  struct rn_stats_page pages[FAKE_LCORES];
  struct rn_lcore_stats stats[FAKE_LCORES]; /* what fake_node_publish publishes */
};

/* Serving, nothing published yet. */
static inline void fake_node_init(struct fake_node *f) {
  memset(f, 0, sizeof(*f));
  snprintf(f->cfg.node.name, sizeof(f->cfg.node.name), "n1");
  f->node.cfg = &f->cfg;
  f->node.state = RN_NODE_SERVING;
  f->node.generation = 1;
  f->node.view.base = (uint8_t *)f->pages;
  f->node.view.bytes = sizeof(f->pages);
  f->node.topo.lcore_count = f->node.view.topo.lcore_count = FAKE_LCORES;
  for (uint32_t i = 0; i < FAKE_LCORES; i++)
    f->node.view.topo.lcores[i].stats.off = i * sizeof(f->pages[0]);
}

static inline void fake_node_publish(struct fake_node *f, uint64_t now_ns) {
  for (uint32_t i = 0; i < FAKE_LCORES; i++)
    rn_stats_publish(&f->pages[i], &f->stats[i], now_ns);
}

/* Another data plane takes the place: its pages are empty. */
static inline void fake_node_restart(struct fake_node *f) {
  memset(f->pages, 0, sizeof(f->pages));
  memset(f->stats, 0, sizeof(f->stats));
  memset(f->node.lcores, 0, sizeof(f->node.lcores));
  f->node.generation++;
}
