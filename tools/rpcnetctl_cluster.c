/* tools/rpcnetctl_cluster.c */
#include "tools/rpcnetctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOLLOW_MS 250

static const char *text(yyjson_val *obj, const char *key) {
  const char *s = yyjson_get_str(yyjson_obj_get(obj, key));
  return s != NULL ? s : "-";
}

static uint64_t number(yyjson_val *obj, const char *key) {
  return yyjson_get_uint(yyjson_obj_get(obj, key));
}

/* ---- members ---- */

static void print_tags(FILE *out, yyjson_val *tags) {
  size_t i, n;
  yyjson_val *key, *value;
  yyjson_obj_foreach(tags, i, n, key, value) {
    fprintf(out, "%s%s=%s", i > 0 ? " " : "", yyjson_get_str(key), yyjson_get_str(value));
  }
}

static void print_members(FILE *out, yyjson_val *r) {
  size_t i, n;
  yyjson_val *m;
  fprintf(out, "%" PRIu64 " alive, network %s%s, own health %" PRIu64 "\n\n", number(r, "alive"),
          text(r, "partition"),
          yyjson_get_bool(yyjson_obj_get(r, "minority")) ? " (this is the smaller side)" : "",
          number(r, "health"));
  fprintf(out, "  %-32s %-24s %-8s %8s  %s\n", "member", "address", "state", "since", "tags");
  yyjson_arr_foreach(yyjson_obj_get(r, "members"), i, n, m) {
    const bool self = strcmp(text(m, "id"), text(r, "self")) == 0;
    fprintf(out, "%c %-32s %-24s %-8s %6.0f s  ", self ? '*' : ' ', text(m, "id"), text(m, "addr"),
            text(m, "state"), yyjson_get_num(yyjson_obj_get(m, "since_seconds")));
    print_tags(out, yyjson_obj_get(m, "tags"));
    fprintf(out, "\n");
  }
}

int rn_ctl_members(const struct rn_ctl_args *a) {
  return rn_ctl_show(a, "{\"request\": \"members\"}", print_members);
}

/* ---- workers ---- */

static void print_workers(FILE *out, yyjson_val *r) {
  size_t i, n;
  yyjson_val *w;
  fprintf(out, "%s, %s\n\n  %-32s %-24s %6s\n", text(r, "route"), text(r, "strategy"), "worker",
          "address", "weight");
  yyjson_arr_foreach(yyjson_obj_get(r, "workers"), i, n, w) {
    fprintf(out, "  %-32s %-24s %6" PRIu64 "%s%s\n", text(w, "id"), text(w, "addr"),
            number(w, "weight"), yyjson_get_bool(yyjson_obj_get(w, "near")) ? "  near" : "",
            yyjson_get_bool(yyjson_obj_get(w, "draining")) ? "  draining" : "");
  }
}

int rn_ctl_workers(const struct rn_ctl_args *a) {
  return rn_ctl_show(a, "{\"request\": \"workers\"}", print_workers);
}

int rn_ctl_route(const struct rn_ctl_args *a) {
  char request[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *doc = rn_ctl_begin("route", &root);
  yyjson_mut_obj_add_str(doc, root, "method", a->operands[0]);
  rn_ctl_finish(doc, request);
  return rn_ctl_show(a, request, print_workers);
}

/* ---- events ---- */

static void print_time(FILE *out, uint64_t unix_ms) {
  char buf[32] = "?";
  time_t t = (time_t)(unix_ms / 1000);
  struct tm tm;
  if (gmtime_r(&t, &tm) != NULL)
    strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm);
  fprintf(out, "%s.%03u", buf, (unsigned int)(unix_ms % 1000));
}

static void print_event(FILE *out, yyjson_val *e, bool json) {
  if (json) {
    char *line = yyjson_val_write(e, 0, NULL);
    fprintf(out, "%s\n", line != NULL ? line : "{}");
    free(line);
    return;
  }
  print_time(out, number(e, "unix_ms"));
  fprintf(out, "  %-12s %s (%s), incarnation %" PRIu64 "\n", text(e, "event"), text(e, "id"),
          text(e, "addr"), number(e, "incarnation"));
}

/* Those after *after, which moves on; *after UINT64_MAX: the newest that there are. False: the node does not answer. */
static bool print_events(const struct rn_ctl_args *a, uint64_t *after) {
  char request[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *doc = rn_ctl_begin("events", &root);
  if (*after != UINT64_MAX)
    yyjson_mut_obj_add_uint(doc, root, "after", *after);
  rn_ctl_finish(doc, request);
  yyjson_doc *answer = rn_ctl_ask(a->socket, request);
  if (answer == NULL)
    return false;
  yyjson_val *r = yyjson_obj_get(yyjson_doc_get_root(answer), "result"), *e;
  size_t i, n;
  if (number(r, "lost") > 0 && *after != UINT64_MAX)
    fprintf(stderr, "rpcnetctl: %" PRIu64 " events were overwritten before they were read\n",
            number(r, "lost"));
  yyjson_arr_foreach(yyjson_obj_get(r, "events"), i, n, e) { print_event(stdout, e, a->json); }
  /* A control process that was started anew counts from the beginning. */
  *after = number(r, "last");
  yyjson_doc_free(answer);
  return true;
}

int rn_ctl_events(const struct rn_ctl_args *a) {
  uint64_t after = UINT64_MAX;
  while (print_events(a, &after)) {
    if (fflush(stdout) != 0 || !a->follow)
      return EXIT_SUCCESS;
    const struct timespec wait = { .tv_nsec = FOLLOW_MS * 1000000L };
    nanosleep(&wait, NULL);
  }
  return EXIT_FAILURE;
}

/* ---- what changes it ---- */

static void print_nothing(FILE *out, yyjson_val *result) { (void)out, (void)result; }

int rn_ctl_tag(const struct rn_ctl_args *a) {
  char request[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *doc = rn_ctl_begin("tag", &root);
  yyjson_mut_obj_add_str(doc, root, "action", a->operands[0]);
  yyjson_mut_obj_add_str(doc, root, "key", a->operands[1]);
  if (a->operand_count > 2)
    yyjson_mut_obj_add_str(doc, root, "value", a->operands[2]);
  rn_ctl_finish(doc, request);
  return rn_ctl_show(a, request, print_nothing);
}

int rn_ctl_join(const struct rn_ctl_args *a) {
  char request[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *doc = rn_ctl_begin("join", &root);
  yyjson_mut_obj_add_str(doc, root, "address", a->operands[0]);
  rn_ctl_finish(doc, request);
  return rn_ctl_show(a, request, print_nothing);
}

int rn_ctl_leave(const struct rn_ctl_args *a) {
  return rn_ctl_show(a, "{\"request\": \"leave\"}", print_nothing);
}

int rn_ctl_drain(const struct rn_ctl_args *a) {
  return rn_ctl_show(a, "{\"request\": \"drain\"}", print_nothing);
}
