/* tests/fuzz/fuzz_parent.c: rpcnetd under a rpcnet-control that was taken over.
 *
 *   per request   1 octet type, 1 octet argument, 1 octet: bits 0-2 how many descriptors, bits 3-5 of which kind each is; and 1 octet that fills the rest
 *
 * Checked: each request is answered as its type asks, by one message; a file is opened only when the configuration names it; what START brought is kept
 * only when it is a start that may be; no descriptor is lost. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/parent.h"
#include "sys/channel.h"
#include "sys/memfd.h"
#include "util/err.h"

#define FDS_MAX 7u

static struct rn_parent parent;
static int control_end, null_fd, kept_stderr;

static unsigned int open_fds(void) {
  unsigned int n = 0;
  for (int fd = 0; fd < 256; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

/* rpcnetd logs what it refuses, to standard error. */
static void hush(bool on) { CHECK(dup2(on ? null_fd : kept_stderr, STDERR_FILENO) >= 0); }

static void begin(void) {
  static int pair[2];
  if (pair[0] == 0) {
    CHECK(rn_sys_channel(pair) == RN_OK && rn_sys_memfd("config", 16, &parent.config_fd) == RN_OK);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    kept_stderr = dup(STDERR_FILENO);
    CHECK(null_fd >= 0 && kept_stderr >= 0);
  }
  int config_fd = parent.config_fd;
  parent =
      (struct rn_parent){ .config_fd = config_fd, .signal_fd = -1, .admin_fd = -1, .http_fd = -1 };
  parent.channel = pair[0];
  parent.control.pidfd = parent.dataplane.pidfd = -1;
  parent.cfg.port.driver = RN_TOPO_NULL; /* nothing to attach to */
  strcpy(parent.cfg.tls.cert, "/dev/null");
  strcpy(parent.cfg.tls.key, "/nowhere/at/all");
  parent.cfg.cluster.enabled = true;
  strcpy(parent.cfg.cluster.state_file, "/nowhere/at/all/state");
  rn_port_attach_init(&parent.port);
  control_end = pair[1];
}

static int descriptor(uint8_t kind) {
  int fd = -1;
  if (kind & 1)
    fd = dup(null_fd);
  else if (kind & 2)
    CHECK(rn_sys_memfd("fuzz", 4096, &fd) == RN_OK);
  else
    fd = dup(parent.config_fd);
  CHECK(fd >= 0);
  return fd;
}

/* What was answered; false when nothing was. */
static bool answer(struct rn_parent_msg *m, size_t *fd_count) {
  int fds[2 + RN_TOPO_LCORES_MAX];
  size_t len = 0;
  *fd_count = sizeof(fds) / sizeof(fds[0]);
  if (rn_sys_recv(control_end, m, sizeof(*m), &len, fds, fd_count) != RN_OK)
    return false;
  CHECK(len == sizeof(*m) && m->type == RN_PARENT_REPLY);
  CHECK(memchr(m->text, 0, sizeof(m->text)) != NULL);
  for (size_t i = 0; i < *fd_count; i++)
    close(fds[i]);
  return true;
}

static void request(struct fuzz_in *in) {
  struct rn_parent_msg m, r;
  int fds[FDS_MAX];
  uint8_t type = fuzz_u8(in), arg = fuzz_u8(in), how = fuzz_u8(in);
  memset(&m, fuzz_u8(in), sizeof(m));
  m.type = type < 0x80 ? type % (RN_PARENT_TYPE_COUNT + 2) : type * 0x01010101u;
  m.arg = arg < 0x80 ? arg % (RN_PARENT_FILE_COUNT + 2) : arg * 0x01010101u;
  size_t count = how & 7, got;
  for (size_t i = 0; i < count; i++)
    fds[i] = descriptor(how >> 3);
  uint32_t kept = parent.dp_fd_count;
  unsigned int before = open_fds() - (unsigned int)count - kept;
  hush(true);
  rn_parent_request(&parent, &m, fds, count);
  hush(false);
  CHECK(open_fds() == before + parent.dp_fd_count);
  bool told = answer(&r, &got);
  bool quiet = ((m.type == RN_PARENT_READY || m.type == RN_PARENT_DRAIN) && count == 0) ||
               (m.type == RN_PARENT_START && parent.dp_fd_count != kept);
  CHECK(told == !quiet && (!told || r.arg == m.type));
  if (m.type == RN_PARENT_OPEN && count == 0)
    CHECK((r.status == RN_OK) == (m.arg == RN_PARENT_FILE_CONFIG || m.arg == RN_PARENT_FILE_CERT) &&
          got == (r.status == RN_OK));
  else
    CHECK(!told || got == 0);
  CHECK(!parent.start_wanted ||
        (parent.dp_fd_count >= 3 && parent.dp_fd_count <= 2 + RN_TOPO_LCORES_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  begin();
  while (fuzz_more(&in))
    request(&in);
  rn_parent_drop_fds(&parent);
  return 0;
}
