/* tests/unit/control/test_keys.c */
#include "rn_test.h"

#include <time.h>
#include <unistd.h>

#include "control/keys.h"
#include "pem_files.h"
#include "util/err.h"

static char why[256];

static int load(struct pem_pair *p, struct rn_keys **k) {
  return rn_keys_load(p->cert_fd, "node.crt", p->key_fd, "node.key", k, why, sizeof(why));
}

static void loads_every_kind_that_tls_can_use_here(void **state) {
  (void)state;
  static const struct {
    const char *kind, *group, *type;
    unsigned int bits;
    uint16_t can, cannot;
    bool slow;
  } kinds[] = {
    { "EC", "P-256", "P-256", 0, 0x0403, 0x0503, false },
    { "EC", "P-384", "P-384", 0, 0x0503, 0x0403, false },
    { "RSA", NULL, "RSA-2048", 2048, 0x0804, 0x0401, true }, /* never PKCS#1 v1.5 */
    { "RSA", NULL, "RSA-3072", 3072, 0x0806, 0x0809, true }, /* never rsa_pss_pss */
    { "ED25519", NULL, "Ed25519", 0, 0x0807, 0x0403, false },
  };
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    struct pem_pair p;
    struct rn_keys *k;
    size_t bytes;
    pem_pair_make(&p, kinds[i].kind, kinds[i].bits, kinds[i].group);
    assert_int_equal(load(&p, &k), RN_OK);
    assert_string_equal(rn_keys_type(k), kinds[i].type);
    assert_string_equal(rn_keys_subject(k), "CN=localhost");
    assert_true(rn_keys_can(k, kinds[i].can));
    assert_false(rn_keys_can(k, kinds[i].cannot));
    assert_int_equal(rn_keys_slow(k), kinds[i].slow);
    assert_true(rn_keys_not_after(k) > time(NULL) && rn_keys_not_before(k) < time(NULL));
    assert_memory_equal(rn_keys_cert_pem(k, &bytes), "-----BEGIN CERTIFICATE-----", 27);
    assert_int_equal(strlen(rn_keys_cert_pem(k, &bytes)), bytes);
    rn_keys_free(k);
    pem_pair_close(&p);
  }
}

static void refuses_other_kinds_by_name(void **state) {
  (void)state;
  static const struct {
    const char *kind, *group, *says;
    unsigned int bits;
  } kinds[] = {
    { "EC", "P-521", "P-256, P-384", 0 },
    { "EC", "secp256k1", "secp256k1", 0 },
    { "RSA", NULL, "RSA key of 1024 bits", 1024 },
    { "RSA-PSS", NULL, "RSA-PSS", 2048 },
  };
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    struct pem_pair p;
    struct rn_keys *k = NULL;
    pem_pair_make(&p, kinds[i].kind, kinds[i].bits, kinds[i].group);
    assert_int_equal(load(&p, &k), RN_ERR_CONFIG);
    assert_non_null(strstr(why, kinds[i].says));
    assert_non_null(strstr(why, "node.key"));
    assert_null(k);
    pem_pair_close(&p);
  }
}

static void refuses_a_key_that_is_not_the_certificates(void **state) {
  (void)state;
  struct pem_pair a, b, mixed;
  struct rn_keys *k = NULL;
  pem_pair_make(&a, "EC", 0, "P-256");
  pem_pair_make(&b, "EC", 0, "P-256");
  mixed = (struct pem_pair){ a.cert_fd, b.key_fd };
  assert_int_equal(load(&mixed, &k), RN_ERR_CONFIG);
  assert_string_equal(why, "node.key: is not the key of the first certificate in node.crt");
  pem_pair_close(&b);
  pem_pair_make(&b, "RSA", 2048, NULL);
  mixed.key_fd = b.key_fd;
  assert_int_equal(lseek(a.cert_fd, 0, SEEK_SET), 0);
  assert_int_equal(load(&mixed, &k), RN_ERR_CONFIG);
  assert_null(k);
  pem_pair_close(&a);
  pem_pair_close(&b);
}

static void says_what_is_wrong_with_a_file(void **state) {
  (void)state;
  struct pem_pair good, p;
  struct rn_keys *k = NULL;
  pem_pair_make(&good, "EC", 0, "P-256");
  int text = pem_file("hello", 5), nothing = pem_file("", 0), encrypted;
  pem_encrypted_key(&encrypted);

  p = (struct pem_pair){ text, good.key_fd };
  assert_int_equal(load(&p, &k), RN_ERR_CONFIG);
  assert_string_equal(why, "node.crt: holds no PEM certificate that can be read");
  p = (struct pem_pair){ nothing, good.key_fd };
  assert_int_equal(load(&p, &k), RN_ERR_CONFIG);
  assert_string_equal(why, "node.crt: is empty");
  p = (struct pem_pair){ good.cert_fd, nothing };
  assert_int_equal(load(&p, &k), RN_ERR_CONFIG);
  assert_string_equal(why, "node.key: is empty");
  assert_int_equal(lseek(good.cert_fd, 0, SEEK_SET), 0);
  p = (struct pem_pair){ good.cert_fd, encrypted };
  assert_int_equal(load(&p, &k), RN_ERR_CONFIG);
  assert_non_null(strstr(why, "encrypted"));
  assert_int_equal(lseek(good.cert_fd, 0, SEEK_SET), 0);
  p = (struct pem_pair){ good.cert_fd, -1 };
  assert_int_equal(load(&p, &k), RN_ERR_SYS);
  assert_null(k);

  char *big = calloc(1, RN_KEYS_FILE_MAX + 1);
  int too_long = pem_file(big, RN_KEYS_FILE_MAX + 1);
  p = (struct pem_pair){ too_long, good.key_fd };
  assert_int_equal(load(&p, &k), RN_ERR_CONFIG);
  assert_non_null(strstr(why, "longer than"));
  free(big);
  close(too_long);
  close(text);
  close(nothing);
  close(encrypted);
  pem_pair_close(&good);
}

static int setup(void **state) {
  (void)state;
  (void)rn_keys_init();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(loads_every_kind_that_tls_can_use_here),
    cmocka_unit_test(refuses_other_kinds_by_name),
    cmocka_unit_test(refuses_a_key_that_is_not_the_certificates),
    cmocka_unit_test(says_what_is_wrong_with_a_file),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
