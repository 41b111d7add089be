/* Our client against another implementation's server: one case per line of output. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/interop/our_client/peer.h"
#include "util/err.h"

static const char usage[] =
    "usage: our-client --addr ADDRESS:PORT --cert FILE [--server-name NAME] [--list] [CASE...]\n"
    "\n"
    "Runs the named cases (all without a name; * and ? match) against a server and prints\n"
    "`ok NAME`, or `not ok NAME: why`. Exits with 1 if a case failed, with 2 for a wrong command\n"
    "line. Cases that mostly wait run beside the others, each in a process of its own.\n"
    "\n"
    "  --addr ADDRESS:PORT  the server\n"
    "  --cert FILE          its certificate in PEM, which is also the trust anchor\n"
    "  --server-name NAME   name that the certificate has to hold (localhost)\n"
    "  --list               print the names and what each shows, and exit\n"
    "\n"
    "example: our-client --addr 127.0.0.1:18080 --cert build/interop/node.crt 'echo_*'\n";

static const struct kase *const lists[] = { unary_cases, streaming_cases, load_cases,
                                            network_cases };
#define LISTS (sizeof(lists) / sizeof(lists[0]))

static bool read_file(const char *path, struct target *t) {
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    return false;
  t->ca_pem = calloc(1, 65536);
  RN_ASSERT(t->ca_pem != NULL);
  t->ca_pem_bytes = fread(t->ca_pem, 1, 65535, f);
  fclose(f);
  return t->ca_pem_bytes > 0;
}

static bool wanted(const struct kase *k, char **names, int count) {
  if (count == 0)
    return true;
  for (int i = 0; i < count; i++)
    if (fnmatch(names[i], k->name, 0) == 0)
      return true;
  return false;
}

static bool run(const struct kase *k, const struct target *t) {
  bool ok = k->run(t);
  const char *why = fail_take();
  if (ok)
    printf("ok %s\n", k->name);
  else
    printf("not ok %s: %s\n", k->name, why);
  fflush(stdout);
  return ok;
}

/* Starts the cases that wait, runs the others, waits for the former. True if all passed. */
static bool run_all(const struct target *t, char **names, int count) {
  bool ok = true;
  int status, children = 0;
  for (size_t l = 0; l < LISTS; l++)
    for (const struct kase *k = lists[l]; k->name != NULL; k++)
      if (k->waits && wanted(k, names, count)) {
        pid_t pid = fork();
        if (pid == 0)
          _exit(run(k, t) ? 0 : 1);
        children += pid > 0;
        ok = ok && pid > 0;
      }
  for (size_t l = 0; l < LISTS; l++)
    for (const struct kase *k = lists[l]; k->name != NULL; k++)
      if (!k->waits && wanted(k, names, count))
        ok = run(k, t) && ok;
  for (; children > 0; children--)
    ok = wait(&status) > 0 && status == 0 && ok;
  return ok;
}

static int bad_usage(const char *why, const char *what) {
  fprintf(stderr, "our-client: %s %s\n%s", why, what, usage);
  return 2;
}

int main(int argc, char **argv) {
  struct target t = { .server_name = "localhost" };
  bool list = false;
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return fputs(usage, stdout) < 0;
    if (strcmp(argv[i], "--list") == 0) {
      list = true;
      continue;
    }
    if (value == NULL)
      return bad_usage("unknown option, or one without its value:", argv[i]);
    if (strcmp(argv[i], "--addr") == 0) {
      if (rn_addr_parse(value, &t.addr) != RN_OK || t.addr.port == 0)
        return bad_usage("no address with a port:", value);
    } else if (strcmp(argv[i], "--cert") == 0) {
      if (!read_file(value, &t))
        return bad_usage("cannot read", value);
    } else if (strcmp(argv[i], "--server-name") == 0) {
      t.server_name = value;
    } else {
      return bad_usage("unknown option", argv[i]);
    }
    i++;
  }
  if (list) {
    for (size_t l = 0; l < LISTS; l++)
      for (const struct kase *k = lists[l]; k->name != NULL; k++)
        printf("%-24s %s\n", k->name, k->shows);
    return 0;
  }
  if (t.addr.family == 0 || t.ca_pem == NULL)
    return bad_usage("--addr and --cert are needed", "");
  return run_all(&t, argv + i, argc - i) ? 0 : 1;
}
