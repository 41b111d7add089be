/* control/rpcnetd.c: what an operator starts. Reads the configuration, opens what needs privileges, and keeps rpcnet-control and rpcnet-dataplane
 * running. It takes no input from the network. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/http_listen.h"
#include "control/parent.h"
#include "control/paths.h"
#include "control/secret_file.h"
#include "sys/event.h"
#include "sys/log.h"
#include "util/err.h"

#define EXIT_CONFIG 2

const char *argp_program_version = "rpcnetd " RN_VERSION;
static const char doc[] =
    "Runs a node: rpcnet-control and rpcnet-dataplane, each started again when it ends.\v"
    "Exit status: 0 after SIGTERM or SIGINT, 1 when the node could not run, 2 for a wrong command "
    "line or "
    "configuration.\n\nexample: rpcnetd --config /etc/rpcnet/node.yaml";

enum { OPT_CONTROL = 256, OPT_DATAPLANE };

static const struct argp_option options[] = {
  { "config", 'c', "FILE", 0, "Configuration (required)", 0 },
  { "check", 'k', NULL, 0, "Check the configuration, certificate and key, start nothing", 0 },
  { "control", OPT_CONTROL, "PATH", OPTION_HIDDEN, "Use this program as rpcnet-control", 0 },
  { "dataplane", OPT_DATAPLANE, "PATH", OPTION_HIDDEN, "Use this program as rpcnet-dataplane", 0 },
  { 0 },
};

struct args {
  char *config;
  char *control;
  char *dataplane;
  bool check;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *a = state->input;
  switch (key) {
  case 'c':
    a->config = arg;
    return 0;
  case 'k':
    a->check = true;
    return 0;
  case OPT_CONTROL:
    a->control = arg;
    return 0;
  case OPT_DATAPLANE:
    a->dataplane = arg;
    return 0;
  case ARGP_KEY_ARG:
    argp_error(state, "unexpected argument: %s", arg);
    return EINVAL;
  case ARGP_KEY_END:
    if (a->config == NULL)
      argp_error(state, "--config FILE is required");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* The file's content as it is now, in memory: what control is handed is what was checked here. -1: error is logged. */
static int copy_config(const char *path) {
  char buf[65536];
  ssize_t n;
  size_t total = 0;
  int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  int to = memfd_create("rpcnet-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (from < 0 || to < 0) {
    rn_error("%s: %s", path, strerror(errno));
    goto fail;
  }
  while ((n = read(from, buf, sizeof(buf))) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    total += n > 0 ? (size_t)n : 0;
    if (n < 0 || total > RN_CONFIG_BYTES_MAX || write(to, buf, (size_t)n) != n) {
      rn_error("%s: %s", path, n < 0 ? strerror(errno) : "larger than a configuration can be");
      goto fail;
    }
  }
  if (fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
      lseek(to, 0, SEEK_SET) != 0)
    goto fail;
  close(from);
  return to;
fail:
  if (from >= 0)
    close(from);
  if (to >= 0)
    close(to);
  return -1;
}

static int load_config(struct rn_parent *p) {
  p->config_fd = copy_config(p->config_name);
  if (p->config_fd < 0)
    return RN_ERR_SYS;
  struct rn_config_errors *errs = rn_config_errors_new();
  int err =
      errs != NULL ? rn_config_load_fd(p->config_fd, p->config_name, &p->cfg, errs) : RN_ERR_SYS;
  if (err != RN_OK && errs != NULL)
    rn_config_errors_print(errs, stderr);
  rn_config_errors_free(errs);
  return err;
}

/* True when somebody answers at the socket: another node with the same configuration. */
static bool is_alive(const struct sockaddr_un *a) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0;
  if (fd >= 0)
    close(fd);
  return alive;
}

/* The admin socket is ours, so that it outlives control: what connects while control starts again waits instead of being turned away. */
static int listen_admin(struct rn_parent *p) {
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  const char *run_dir = p->cfg.node.run_dir;
  rn_admin_path(&p->cfg, p->admin_path, sizeof(p->admin_path));
  if (strlen(p->admin_path) >= sizeof(a.sun_path)) {
    rn_error("%s: longer than a unix socket's path can be", p->admin_path);
    return RN_ERR_CONFIG;
  }
  if (mkdir(run_dir, 0755) != 0 && errno != EEXIST) {
    rn_error("node.run_dir %s: %s", run_dir, strerror(errno));
    return RN_ERR_CONFIG;
  }
  memcpy(a.sun_path, p->admin_path, strlen(p->admin_path));
  if (is_alive(&a)) {
    rn_error("%s: another node answers here", p->admin_path);
    return RN_ERR_EXIST;
  }
  (void)unlink(p->admin_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t old = umask(0117); /* rw-rw---- from its first moment */
  bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 16) == 0;
  umask(old);
  if (!ok) {
    rn_error("%s: %s", p->admin_path, strerror(errno));
    if (fd >= 0)
      close(fd);
    return RN_ERR_CONFIG;
  }
  p->admin_fd = fd;
  return RN_OK;
}

static int listen_http(struct rn_parent *p) {
  const struct rn_config_http *c = &p->cfg.http;
  if (!c->enabled || rn_http_listen(c->listen, &p->http_fd) == RN_OK)
    return RN_OK;
  rn_error("http.listen %s: %s", c->listen, strerror(errno));
  return RN_ERR_CONFIG;
}

static int make_secret(const struct rn_parent *p) {
  const char *path = p->cfg.node.secret_file;
  char why[256];
  if (path[0] == '\0' || rn_secret_file_make(path, why, sizeof(why)) == RN_OK)
    return RN_OK;
  rn_error("node.secret_file %s", why);
  return RN_ERR_CONFIG;
}

static int prepare(struct rn_parent *p) {
  static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, 0 };
  if (rn_sys_signals(signals, &p->signal_fd) != RN_OK ||
      getrandom(p->seed, sizeof(p->seed), 0) != sizeof(p->seed)) {
    rn_error("cannot start: %s", strerror(errno));
    return RN_ERR_SYS;
  }
  int err = listen_admin(p);
  if (err == RN_OK)
    err = listen_http(p);
  return err == RN_OK ? make_secret(p) : err;
}

/* The checks that need the key are control's: it does them in our place. */
static int check(const char *control_path, char *config) {
  char *argv[] = { (char *)(uintptr_t)"rpcnet-control", (char *)(uintptr_t)"--check",
                   (char *)(uintptr_t)"--config", config, NULL };
  execv(control_path, argv);
  rn_error("cannot start %s: %s", control_path, strerror(errno));
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  static struct rn_parent p;
  static char control_path[PATH_MAX], dataplane_path[PATH_MAX];
  struct args args = { 0 };
  const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
  argp_err_exit_status = EXIT_CONFIG;
  argp_parse(&argp, argc, argv, 0, NULL, &args);
  rn_log_init("rpcnetd", RN_LOG_INFO);
  if (!rn_find_program("rpcnet-control", args.control, control_path, sizeof(control_path)) ||
      (!args.check && !rn_find_program("rpcnet-dataplane", args.dataplane, dataplane_path,
                                       sizeof(dataplane_path))))
    return EXIT_FAILURE;
  if (args.check)
    return check(control_path, args.config);

  p = (struct rn_parent){ .config_name = args.config,
                          .control_path = control_path,
                          .dataplane_path = dataplane_path,
                          .channel = -1,
                          .config_fd = -1,
                          .admin_fd = -1,
                          .http_fd = -1 };
  rn_child_init(&p.control, "rpcnet-control");
  rn_child_init(&p.dataplane, "rpcnet-dataplane");
  rn_port_attach_init(&p.port);
  if (load_config(&p) != RN_OK)
    return EXIT_CONFIG;
  rn_log_set_level(p.cfg.node.log_level);
  int err = prepare(&p);
  if (err != RN_OK)
    return err == RN_ERR_CONFIG ? EXIT_CONFIG : EXIT_FAILURE;
  rn_info("node %s: starting", p.cfg.node.name);
  int status = rn_parent_run(&p);
  (void)unlink(p.admin_path);
  rn_port_attach_release(&p.port);
  rn_parent_drop_fds(&p);
  rn_info("node %s: ended", p.cfg.node.name);
  return status;
}
