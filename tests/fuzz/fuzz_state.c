/* tests/fuzz/fuzz_state.c: any bytes as the file of a cluster's members.
 *
 *   1 octet     odd: the rest is a text up to its sum, which is put behind it; even: the rest is the text
 *
 * Checked: all members are told, or none and why; what is told can be applied, and what is written of that is read again. */
#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>

#include "control/state_file.h"
#include "util/err.h"
#include "util/hash.h"

#define CAPACITY 16u

static struct rn_members *members;
static unsigned int told;

static void heard(void *app, const struct rn_swim_update *u) {
  CHECK(app == &told && u->node_id.len >= 1 && u->node_id.len <= RN_MEMBER_ID_MAX);
  CHECK(u->addr.port != 0 && u->incarnation <= RN_INCARNATION_MAX);
  fuzz_read_all(u->node_id.p, u->node_id.len);
  fuzz_read_all(u->tags.buf, u->tags.len);
  (void)rn_members_apply(members, u, RN_MEMBER_HEARSAY, 1, NULL);
  told++;
}

static void begin(void) {
  static const uint8_t key[16];
  static void *mem;
  const struct rn_swim_update self = { .node_id = { "me", 2 },
                                       .addr = { .ip = { 127, 0, 0, 1 }, .port = 1, .family = 4 } };
  if (mem == NULL)
    mem = aligned_alloc(64, rn_members_footprint(CAPACITY));
  CHECK(mem != NULL);
  CHECK(rn_members_init(mem, CAPACITY, key, &self, NULL, NULL, 0, &members) == RN_OK);
  told = 0;
}

static void write_again(void) {
  char *text, why[256];
  size_t len;
  uint32_t left_out, count = rn_members_count(members) - 1;
  CHECK(rn_members_check(members) == RN_OK);
  CHECK(rn_state_write(members, &text, &len, &left_out) == RN_OK && left_out == 0);
  begin();
  CHECK(rn_state_read(text, len, heard, &told, why, sizeof(why)) == RN_OK && told == count);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const uint8_t key[16];
  char why[256] = "", *text = calloc(1, len + 32);
  CHECK(text != NULL);
  bool sum = len > 0 && (data[0] & 1);
  size_t n = len > 0 ? len - 1 : 0;
  if (n > 0)
    memcpy(text, data + 1, n);
  if (sum)
    n += (size_t)sprintf(text + n, ",\"sum\":\"%016" PRIx64 "\"}\n", rn_siphash(key, text, n));
  begin();
  int err = rn_state_read(text, n, heard, &told, why, sizeof(why));
  CHECK(err == RN_OK || (err == RN_ERR_CONFIG && told == 0 && why[0] != 0));
  free(text);
  if (err == RN_OK)
    write_again();
  return 0;
}
