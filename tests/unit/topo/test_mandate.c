/* tests/unit/topo/test_mandate.c */
#include <stdio.h>

#include "rn_test.h"
#include "topo/mandate.h"
#include "unit/topo/sample.h"
#include "util/err.h"

static const struct rn_mandate sample = {
  .uid = 59802, .gid = 59803, .sandbox = 1, .driver = RN_TOPO_AF_PACKET, .interface = "eth0"
};

static struct rn_topo obedient(void) {
  struct rn_topo t = sample_topo();
  t.uid = sample.uid;
  t.gid = sample.gid;
  t.sandbox = sample.sandbox;
  return t;
}

static void goes_through_a_command_line(void **state) {
  (void)state;
  struct rn_mandate m = sample, back;
  char text[RN_MANDATE_TEXT_BYTES];
  rn_mandate_text(&m, text);
  assert_string_equal(text, "59802:59803:1:0:eth0");
  assert_int_equal(rn_mandate_parse(text, &back), RN_OK);
  assert_memory_equal(&back, &m, sizeof(m));

  /* the longest there is */
  m.uid = m.gid = m.sandbox = m.driver = UINT32_MAX;
  memset(m.interface, ':', sizeof(m.interface) - 1);
  rn_mandate_text(&m, text);
  assert_int_equal(rn_mandate_parse(text, &back), RN_OK);
  assert_memory_equal(&back, &m, sizeof(m));
}

static void any_other_text_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
    "",
    "1",
    "1:2:3",
    "1:2:3:4",
    ":2:1:0:eth0",
    "1::1:0:eth0",
    "-1:2:1:0:eth0",
    "1:2:1:0x0:eth0",
    " 1:2:1:0:eth0",
    "4294967296:2:1:0:eth0",
    "99999999999999999999999:2:1:0:eth0",
    "1:2:1:0:0123456789012345678901234567890123456789012345678901234567890123",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    struct rn_mandate m = sample;
    assert_int_equal(rn_mandate_parse(texts[i], &m), RN_ERR_INVAL);
    assert_memory_equal(&m, &sample, sizeof(m));
  }
}

static void a_description_that_keeps_to_it_passes(void **state) {
  (void)state;
  char why[256] = "";
  struct rn_topo t = obedient();
  assert_int_equal(rn_mandate_check(&sample, &t, why, sizeof(why)), RN_OK);
  assert_string_equal(why, "");
}

/* What a control that was taken over would like: a data plane that stays root, has no filter, opens another interface. */
static void each_thing_that_differs_is_refused_and_named(void **state) {
  (void)state;
  char why[256];
  for (int what = 0; what < 6; what++) {
    static const char *const names[] = {
      "uid is 0, but the configuration says 59802",
      "gid is 0, but the configuration says 59803",
      "sandbox is 0, but the configuration says 1",
      "port 0 is eth1, but the configuration says eth0",
      "port 0 is eth0, but the configuration says eth0, by another driver",
      "port 1 is eth1, but the configuration says eth0",
    };
    struct rn_topo t = obedient();
    t.uid = what == 0 ? 0 : t.uid;
    t.gid = what == 1 ? 0 : t.gid;
    t.sandbox = what == 2 ? 0 : t.sandbox;
    if (what == 4)
      t.ports[0].driver = RN_TOPO_VFIO;
    if (what == 5) {
      t.ports[1] = t.ports[0];
      t.port_count = 2;
    }
    if (what == 3 || what == 5)
      strcpy(t.ports[what == 5].interface, "eth1");
    assert_int_equal(rn_mandate_check(&sample, &t, why, sizeof(why)), RN_ERR_REFUSED);
    assert_string_equal(why, names[what]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(goes_through_a_command_line),
    cmocka_unit_test(any_other_text_is_refused),
    cmocka_unit_test(a_description_that_keeps_to_it_passes),
    cmocka_unit_test(each_thing_that_differs_is_refused_and_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
