/* tests/fuzz/fuzz_control.c: control among those who may be its enemies: the memory that it shares with a data plane, a user of its admin socket, and what
 * rpcnetctl is told.
 *
 *   steps       1 octet: low half what, bit 4 which lcore
 *     0         a message: 1 octet type, 2 octets length of the tail, 1 octet what it is filled with
 *     1         a sound request for a signature: 1 octet scheme; 2 a line for the log: 1 octet level, n octets
 *     3, 4      anything, published to the reader: type, length, flags, position; 5: 2 octets where, 1 octet n, n octets anywhere in the region
 *     6         control reads its rings; 7: it reads the statistics and answers rpcnetctl, which prints what it is told
 *     8         rpcnetd says something: type, argument, status; 9: control sends until the ring is full
 *     10        somebody asks over the admin socket: 1 octet n, n octets, in one piece or more; 11: rpcnetctl is told 1 octet n, n octets
 *     12        somebody wants connections or a log: 1 octet what, 1 octet of what; 13: an lcore answers: 1 octet type, 1 octet job (1: the last), 1 octet status, next or
 *               last, 1 octet n, n octets; 14: traces are read
 *
 * Checked: control takes no more messages at a time than a ring holds, counts each, answers each request for a signature once, and each job once; what it
 * tells rpcnetctl is JSON, and rpcnetctl prints it. */
#include "fuzz.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <yyjson.h>

#include "control/admin.h"
#include "control/config.h"
#include "control/node.h"
#include "control/status.h"
#include "quic/inspect.h"
#include "control/topo_of.h"
#include "sys/channel.h"
#include "sys/event.h"
#include "unit/control/pem_files.h"
#include "tools/rpcnetctl.h"
#include "util/err.h"

#define LCORES    2u
#define STEPS_MAX 100u

static struct rn_config cfg;
static struct rn_keys *keys;
static struct rn_topo topo;
static uint8_t *region; /* as control made it */
static size_t region_bytes;
static FILE *null;
static struct rn_node node;
static struct sockaddr_un admin_addr = { .sun_family = AF_UNIX };
static socklen_t admin_addr_bytes = sizeof(sa_family_t); /* the kernel finds a name */
static int channel[2], bells[1 + LCORES];
static uv_loop_t loop;

void __sanitizer_set_report_fd(void *fd) __attribute__((weak)); /* a build without has none */

/* Control logs to standard error, which is not where anybody wants a million lines. */
static int kept_stderr;

static void hush(bool on) { CHECK(dup2(on ? fileno(null) : kept_stderr, STDERR_FILENO) >= 0); }

static void make_region(void) {
  static const uint8_t secret[32] = { 1 };
  char why[256];
  size_t cert_bytes;
  const char *cert = rn_keys_cert_pem(keys, &cert_bytes);
  const struct rn_topo_blobs blobs = { .cert = { cert, cert_bytes } };
  const struct rn_topo_inputs in = { .secret = secret, .secret_bytes = sizeof(secret), .epoch = 1 };
  CHECK(rn_topo_of_config(&cfg, &in, &topo) == RN_OK);
  topo.ring = (struct rn_ring_size){ .slot_count = 8, .bytes_cap = 4096 };
  region_bytes = rn_topo_footprint(&topo, &blobs);
  CHECK(region_bytes > 0);
  region = calloc(1, region_bytes);
  void *mem = aligned_alloc(4096, region_bytes);
  CHECK(region != NULL && mem != NULL);
  memset(mem, 0, region_bytes);
  CHECK(rn_topo_build(mem, region_bytes, &topo, &blobs, 1, why, sizeof(why)) == RN_OK);
  memcpy(region, mem, region_bytes);
  free(mem);
}

static void once(void) {
  static const char text[] =
      "port:\n  interface: eth0\nlcores:\n  count: 2\ntls:\n  cert: a\n  key: b\n";
  char why[256];
  struct pem_pair p;
  struct rn_config_errors *errs = rn_config_errors_new();
  CHECK(rn_config_load_text("fuzz", text, sizeof(text) - 1, &cfg, errs) == RN_OK);
  rn_config_errors_free(errs);
  pem_pair_make(&p, "EC", 0, "P-256");
  CHECK(rn_keys_load(p.cert_fd, "cert", p.key_fd, "key", &keys, why, sizeof(why)) == RN_OK);
  pem_pair_close(&p);
  make_region();
  null = fopen("/dev/null", "w");
  CHECK(null != NULL && rn_sys_channel(channel) == RN_OK && uv_loop_init(&loop) == 0);
  for (unsigned int i = 0; i <= LCORES; i++)
    CHECK(rn_sys_event(&bells[i]) == RN_OK);
  (void)signal(SIGPIPE, SIG_IGN); /* as control does: clients go */
  struct rn_admin *admin;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&admin_addr, admin_addr_bytes) == 0);
  admin_addr_bytes = sizeof(admin_addr);
  CHECK(getsockname(fd, (struct sockaddr *)&admin_addr, &admin_addr_bytes) == 0);
  CHECK(rn_admin_new(&loop, fd, &node, &admin) == RN_OK);
  kept_stderr = dup(STDERR_FILENO);
  CHECK(kept_stderr >= 0);
  if (__sanitizer_set_report_fd != NULL)
    __sanitizer_set_report_fd((void *)(intptr_t)kept_stderr);
}

static uint8_t *copy_of_region(void) {
  uint8_t *mem = aligned_alloc(4096, region_bytes);
  CHECK(mem != NULL);
  memcpy(mem, region, region_bytes);
  return mem;
}

/* ---- running ---- */

struct lcore {
  struct rn_ring_tx tx;
  struct rn_ring_rx rx;
};

static struct lcore lcores[LCORES];

static void begin_node(uint8_t *mem) {
  struct rn_inspect *inspect = node.inspect; /* the admin socket's */
  memset(&node, 0, sizeof(node));
  node.inspect = inspect;
  node.cfg = &cfg;
  node.keys = keys;
  node.channel = channel[0];
  node.state = RN_NODE_STARTING;
  node.topo = node.view.topo = topo;
  node.view.base = mem;
  node.view.bytes = region_bytes;
  node.region_fd = -1;
  node.secrets.count = 1;
  node.bell_fd = bells[0];
  node.signer.keys = keys;
  node.signer.loop = &loop;
  node.signer.stats = &node.stats;
  node.signer.queued_max = 4;
  for (uint32_t i = 0; i < LCORES; i++) {
    node.lcores[i].bell_fd = bells[1 + i];
    CHECK(rn_topo_lcore_rings(&node.view, i, &lcores[i].tx, &lcores[i].rx) == RN_OK);
    CHECK(rn_topo_control_rings(&node.view, i, &node.lcores[i].from, &node.lcores[i].to) == RN_OK);
  }
}

/* As rn_node_init sets it; node.c keeps the function to itself. */
static uint64_t answered;
static void on_signed(void *arg, const struct rn_sign_job *j) {
  const struct rn_msg_sign_rsp rsp = { .job = j->job, .status = j->status };
  CHECK(j->lcore_idx < LCORES && j->sig_bytes <= sizeof(j->sig));
  CHECK((j->status == RN_OK) == (j->sig_bytes > 0));
  answered++;
  rn_node_send(arg, j->lcore_idx, RN_MSG_SIGN_RSP, &rsp, j->sig, j->sig_bytes);
}

static void send_message(struct lcore *l, struct fuzz_in *in) {
  uint8_t fixed[64], tail[512], type = fuzz_u8(in) % (RN_MSG_TYPE_COUNT + 1);
  size_t n = fuzz_le(in, 2) % sizeof(tail);
  memset(fixed, fuzz_u8(in), sizeof(fixed));
  memset(tail, fixed[0], sizeof(tail));
  (void)rn_msg_push(&l->tx, type, fixed, tail, n);
}

static void ask_signature(struct lcore *l, struct fuzz_in *in) {
  static const char context[] = "TLS 1.3, server CertificateVerify";
  static const uint16_t schemes[] = { 0x0403, 0x0503, 0x0804, 0x0807, 0 };
  uint8_t tbs[130], how = fuzz_u8(in);
  const struct rn_msg_sign_req req = { .job = how, .scheme = schemes[how % 5] };
  memset(tbs, 0x20, 64);
  memcpy(tbs + 64, context, sizeof(context));
  memset(tbs + 98, how, 32);
  tbs[how % 130] ^= how & 0x80;
  (void)rn_msg_push(&l->tx, RN_MSG_SIGN_REQ, &req, tbs, sizeof(tbs));
}

static void log_line(struct lcore *l, struct fuzz_in *in) {
  const struct rn_msg_log log = { .level = fuzz_u8(in) };
  size_t n;
  const uint8_t *text = fuzz_bytes(in, fuzz_u8(in), &n);
  (void)rn_msg_push(&l->tx, RN_MSG_LOG, &log, text, n);
}

/* At the reader's next slot, whatever the producer thinks. */
static void publish(uint32_t idx, struct fuzz_in *in) {
  struct rn_ring_rx *rx = &node.lcores[idx].from;
  struct rn_ring_slot *s = (struct rn_ring_slot *)(uintptr_t)&rx->slots[rx->tail & rx->mask];
  s->type = fuzz_u8(in) % 8;
  s->len = (uint32_t)fuzz_le(in, 2);
  s->flags = fuzz_u8(in) % 4;
  s->bytes_pos = fuzz_le(in, 2);
  s->seq = rx->tail + 1;
}

static void write_anywhere(struct fuzz_in *in) {
  size_t at = fuzz_le(in, 2) * 4 % region_bytes, n;
  const uint8_t *p = fuzz_bytes(in, fuzz_u8(in), &n);
  memcpy(node.view.base + at, p, n < region_bytes - at ? n : region_bytes - at);
}

static void drain(void) {
  const struct rn_control_stats before = node.stats;
  uint64_t answered_before = answered;
  hush(true);
  rn_node_drain(&node);
  hush(false);
  const struct rn_control_stats *st = &node.stats;
  CHECK(st->ring_rx - before.ring_rx <= LCORES * topo.ring.slot_count);
  CHECK(st->ring_corrupt - before.ring_corrupt <= st->ring_rx - before.ring_rx);
  uint64_t asked = st->sign_done + st->sign_refused + st->sign_failed + st->sign_limit -
                   before.sign_done - before.sign_refused - before.sign_failed - before.sign_limit;
  CHECK(asked == answered - answered_before);
  CHECK(asked + st->ring_corrupt - before.ring_corrupt <= st->ring_rx - before.ring_rx);
}

static void tell_rpcnetctl(bool stats) {
  size_t n = 0;
  rn_node_sample(&node, true);
  char *text = stats ? rn_stats_json(&node, &n) : rn_status_json(&node, &n);
  CHECK(text != NULL && strlen(text) == n);
  yyjson_doc *doc = yyjson_read(text, n, 0);
  yyjson_val *root = yyjson_doc_get_root(doc), *result = yyjson_obj_get(root, "result");
  CHECK(doc != NULL && yyjson_get_bool(yyjson_obj_get(root, "ok")) && result != NULL);
  if (stats)
    rn_ctl_print_stats(null, result, true);
  else
    rn_ctl_print_status(null, result);
  yyjson_doc_free(doc);
  free(text);
}

/* What rpcnetctl makes of any answer, from whatever is at the other end of the socket. */
static void print_anything(struct fuzz_in *in) {
  size_t n;
  const uint8_t *p = fuzz_bytes(in, fuzz_u8(in), &n);
  yyjson_doc *doc = yyjson_read((const char *)p, n, 0);
  rn_ctl_print_status(null, yyjson_doc_get_root(doc));
  rn_ctl_print_stats(null, yyjson_doc_get_root(doc), true);
  rn_ctl_print_connections(null, yyjson_doc_get_root(doc));
  rn_ctl_print_traces(null, yyjson_doc_get_root(doc), true);
  yyjson_doc_free(doc);
}

static void turn(unsigned int times) {
  for (unsigned int i = 0; i < times; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
}

/* One client: what it gets is one line of JSON, or nothing; of what takes the lcores' help, nothing when it goes before they answered. */
static void ask(struct fuzz_in *in, bool in_pieces) {
  static char got[1 << 20];
  size_t n, len = 0;
  const uint64_t before = node.stats.admin_requests + node.stats.admin_refused;
  const uint8_t *p = fuzz_bytes(in, fuzz_u8(in), &n);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&admin_addr, admin_addr_bytes) == 0);
  for (size_t at = 0; at < n;) {
    size_t piece = in_pieces ? 1 + (n - at) / 3 : n;
    if (send(fd, p + at, piece, MSG_NOSIGNAL) <
        0) /* the line has ended before, and so has the connection */
      break;
    at += piece;
    turn(in_pieces ? 3 : 1);
  }
  (void)shutdown(fd, SHUT_WR);
  unsigned int patience = 100;
  for (ssize_t r = 1; patience > 0 && (r > 0 || (r < 0 && errno == EAGAIN)); patience--) {
    turn(3);
    r = recv(fd, got + len, sizeof(got) - len, 0);
    len += r > 0 ? (size_t)r : 0;
  }
  close(fd);
  turn(3);
  CHECK(node.stats.admin_requests + node.stats.admin_refused > before);
  if (len == 0)
    return;
  yyjson_doc *doc = yyjson_read(got, len, 0);
  CHECK(doc != NULL && memchr(p, '\n', n) != NULL && memchr(got, '\n', len) == got + len - 1);
  yyjson_doc_free(doc);
}

/* All but ENDED, which makes another region of another memory. */
static void hear_parent(struct fuzz_in *in) {
  struct rn_parent_msg m = { .type = fuzz_u8(in),
                             .arg = fuzz_u8(in),
                             .status = (int8_t)fuzz_u8(in) };
  memset(m.text, fuzz_u8(in), sizeof(m.text));
  hush(true);
  if (m.type != RN_PARENT_ENDED)
    (void)rn_node_on_parent(&node, &m);
  hush(false);
}

static void fill_ring(uint32_t idx) {
  const struct rn_msg_ctl_hello hello = { .pid = 1 };
  uint64_t sent = node.stats.ring_full + node.stats.ring_tx;
  for (uint32_t i = 0; i <= topo.ring.slot_count; i++)
    rn_node_send(&node, idx, RN_MSG_CTL_HELLO, &hello, NULL, 0);
  CHECK(node.stats.ring_full + node.stats.ring_tx - sent == topo.ring.slot_count + 1);
}

/* ---- jobs ---- */

static unsigned int jobs_open;
static uint32_t last_job;
static struct rn_inspect_client asker;

static void on_job_text(void *arg, const char *text, size_t len) {
  (void)arg;
  fuzz_read_all(text, len);
}

static void on_job_done(void *arg, char *json, size_t len) {
  (void)arg;
  CHECK(jobs_open-- > 0);
  yyjson_doc *doc = json != NULL ? yyjson_read(json, len, 0) : NULL;
  CHECK(json == NULL || doc != NULL);
  if (doc != NULL)
    rn_ctl_print_connections(null, yyjson_obj_get(yyjson_doc_get_root(doc), "result"));
  yyjson_doc_free(doc);
  free(json);
}

static void begin_job(struct fuzz_in *in) {
  static const char *const names[] = { NULL,  "0.0.0",    "1.5.1",  "2.0.0",
                                       "0.0", "-1.-1.-1", "0.0.0x", "" };
  static const struct rn_addr anybody;
  const char *why = NULL;
  uint8_t what = fuzz_u8(in), arg = fuzz_u8(in);
  asker = (struct rn_inspect_client){ .text = on_job_text, .done = on_job_done };
  jobs_open++; /* it may be done before it returns */
  uint32_t job =
      what % 2 == 0
          ? rn_inspect_connections(node.inspect, arg % 4 == 3 ? UINT32_MAX : arg % 4, arg, &asker)
          : rn_inspect_qlog(node.inspect, names[arg % 8], &anybody, &asker, &why);
  if (job == 0)
    jobs_open--;
  else
    last_job = job;
}

static void answer_job(struct lcore *l, struct fuzz_in *in) {
  uint8_t type = fuzz_u8(in);
  uint32_t job = last_job + 1 - fuzz_u8(in);
  uint8_t value = fuzz_u8(in);
  size_t n;
  const uint8_t *p = fuzz_bytes(in, fuzz_u8(in), &n);
  const struct rn_msg_conn conn = { .job = job };
  const struct rn_msg_conns_end end = { .job = job, .next = value == 0 ? UINT32_MAX : value };
  const struct rn_msg_qlog_text text = { .job = job,
                                         .status = value >> 4 == 15 ? RN_ERR_EXIST : RN_OK,
                                         .last = value & 1 };
  uint8_t info[sizeof(struct rn_quic_conn_info)] = { 0 };
  memcpy(info, p, n < sizeof(info) ? n : sizeof(info));
  if (type % 3 == 0)
    (void)rn_msg_push(&l->tx, RN_MSG_CONN, &conn, info,
                      type & 0x80 ? n % sizeof(info) : sizeof(info));
  else if (type % 3 == 1)
    (void)rn_msg_push(&l->tx, RN_MSG_CONNS_END, &end, NULL, 0);
  else
    (void)rn_msg_push(&l->tx, RN_MSG_QLOG_TEXT, &text, p, n);
}

static void read_traces(struct fuzz_in *in) {
  const uint64_t after[1] = { fuzz_u8(in) };
  size_t n = 0;
  char *text = rn_inspect_traces_json(&node, after, 1, fuzz_u8(in), &n);
  yyjson_doc *doc = yyjson_read(text, n, 0);
  CHECK(doc != NULL);
  rn_ctl_print_traces(null, yyjson_obj_get(yyjson_doc_get_root(doc), "result"), true);
  yyjson_doc_free(doc);
  free(text);
}

static void step(struct fuzz_in *in) {
  uint8_t how = fuzz_u8(in);
  uint32_t idx = how >> 4 & 1;
  switch (how & 15) {
  case 0:
    send_message(&lcores[idx], in);
    break;
  case 1:
    ask_signature(&lcores[idx], in);
    break;
  case 2:
    log_line(&lcores[idx], in);
    break;
  case 3:
  case 4:
    publish(idx, in);
    break;
  case 5:
    write_anywhere(in);
    break;
  case 6:
    drain();
    break;
  case 7:
    tell_rpcnetctl(how & 0x80);
    break;
  case 8:
    hear_parent(in);
    break;
  case 9:
    fill_ring(idx);
    break;
  case 10:
    ask(in, how & 0x10);
    break;
  case 11:
    print_anything(in);
    break;
  case 12:
    begin_job(in);
    break;
  case 13:
    answer_job(&lcores[idx], in);
    break;
  case 14:
    read_traces(in);
    break;
  default:
    break;
  }
}

static void run(struct fuzz_in *in) {
  uint8_t *mem = copy_of_region();
  char byte[sizeof(struct rn_parent_msg)];
  begin_node(mem);
  node.signer.done = on_signed;
  node.signer.arg = &node;
  for (unsigned int i = 0; i < STEPS_MAX && fuzz_more(in); i++)
    step(in);
  drain();
  rn_inspect_lost(node.inspect);
  CHECK(jobs_open == 0);
  while (recv(channel[1], byte, sizeof(byte), MSG_DONTWAIT) > 0)
    ;
  free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  if (region == NULL)
    once();
  run(&in);
  return 0;
}
