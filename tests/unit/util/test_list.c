#include "rn_test.h"

#include "util/list.h"
#include "util/rng.h"

struct item {
  int id;
  struct rn_list node;
};

static void keeps_order_at_both_ends(void **state) {
  (void)state;
  struct rn_list head;
  struct item items[3] = { { .id = 0 }, { .id = 1 }, { .id = 2 } };
  rn_list_init(&head);
  assert_true(rn_list_empty(&head));
  rn_list_push_back(&head, &items[1].node);
  rn_list_push_back(&head, &items[2].node);
  rn_list_push_front(&head, &items[0].node);
  int want = 0;
  for (struct rn_list *n = head.next; n != &head; n = n->next)
    assert_int_equal(RN_LIST_ENTRY(n, struct item, node)->id, want++);
  assert_int_equal(want, 3);
}

static void removed_twice_is_fine(void **state) {
  (void)state;
  struct rn_list head;
  struct item item;
  rn_list_init(&head);
  rn_list_init(&item.node);
  assert_true(rn_list_empty(&item.node));
  rn_list_push_back(&head, &item.node);
  assert_false(rn_list_empty(&item.node));
  rn_list_remove(&item.node);
  rn_list_remove(&item.node);
  assert_true(rn_list_empty(&item.node));
  assert_true(rn_list_empty(&head));
}

#define ITEMS 20

static void behaves_like_an_array(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 1);
  struct rn_list head;
  struct item items[ITEMS];
  int model[ITEMS], count = 0;
  rn_list_init(&head);
  for (int i = 0; i < ITEMS; i++) {
    items[i].id = i;
    rn_list_init(&items[i].node);
  }
  for (int step = 0; step < 5000; step++) {
    int id = (int)rn_rng_below(&rng, ITEMS), at = 0;
    struct rn_list *n = &items[id].node;
    if (!rn_list_empty(n)) {
      rn_list_remove(n);
      while (model[at] != id)
        at++;
      count--;
      memmove(&model[at], &model[at + 1], (size_t)(count - at) * sizeof(int));
    } else if (rn_rng_below(&rng, 2) == 0) {
      rn_list_push_back(&head, n);
      model[count++] = id;
    } else {
      rn_list_push_front(&head, n);
      memmove(&model[1], &model[0], (size_t)count++ * sizeof(int));
      model[0] = id;
    }
    at = 0;
    for (struct rn_list *i = head.next; i != &head; i = i->next) {
      assert_ptr_equal(i->next->prev, i);
      if (at == count || RN_LIST_ENTRY(i, struct item, node)->id != model[at++])
        fail_msg("seed=1 step %d: differs at %d", step, at);
    }
    assert_int_equal(at, count);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(keeps_order_at_both_ends),
    cmocka_unit_test(removed_twice_is_fine),
    cmocka_unit_test(behaves_like_an_array),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
