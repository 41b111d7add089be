/* lib/util/list.h: intrusive doubly linked ring. A node that is in no list is linked to itself. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rn_list {
  struct rn_list *prev, *next;
};

/* The object that holds node as its member. */
#define RN_LIST_ENTRY(node, type, member)                                                          \
  ((type *)(void *)((char *)(uintptr_t)(node) - offsetof(type, member)))

static inline void rn_list_init(struct rn_list *l) { l->prev = l->next = l; }

/* Of a head: no nodes. Of a node: in no list. */
static inline bool rn_list_empty(const struct rn_list *l) { return l->next == l; }

/* n is in no list. */
static inline void rn_list_push_back(struct rn_list *head, struct rn_list *n) {
  n->prev = head->prev;
  n->next = head;
  head->prev->next = n;
  head->prev = n;
}

static inline void rn_list_push_front(struct rn_list *head, struct rn_list *n) {
  rn_list_push_back(head->next, n);
}

/* Leaves n linked to itself; a node that is in no list is fine. */
static inline void rn_list_remove(struct rn_list *n) {
  n->prev->next = n->next;
  n->next->prev = n->prev;
  n->prev = n->next = n;
}
