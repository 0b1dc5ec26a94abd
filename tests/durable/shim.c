/* Loaded before the C library into the proxy of a test: the file named by PGPURPOSE_TEST_FAULT says what fails for files
   of the access log, for as long as it is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fault(const char *what) {
  const char *path = getenv("PGPURPOSE_TEST_FAULT");
  char held[32] = {0};
  if (!path) return 0;
  long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
  if (fd < 0) return 0;
  long got = syscall(SYS_read, fd, held, sizeof held - 1);
  syscall(SYS_close, fd);
  return got > 0 && strncmp(held, what, strlen(what)) == 0;
}

static int is_log_path(const char *path) { return path && strstr(path, "/audit/access-") != NULL; }

static int is_log(int fd) {
  char link[64], target[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length < 0) return 0;
  target[length] = 0;
  return is_log_path(target);
}

/* A record of whose rows are about to go to a client. */
static int discloses(const void *bytes, size_t count) {
  static const char event[] = "\"event\":\"disclosure\"";
  return memmem(bytes, count, event, sizeof event - 1) != NULL;
}

static int unsynced, cut, before;

/* At once (`disclosure WHAT`), or after twenty of them (`later WHAT`). */
static int disclosure(const char *what) {
  char held[64];
  snprintf(held, sizeof held, "disclosure %s", what);
  if (fault(held)) return 1;
  snprintf(held, sizeof held, "later %s", what);
  return before > 20 && fault(held);
}

/* Takes the folder of the log away, as DIR.away. */
static void take_away(int fd) {
  char link[64], target[1024], away[1100];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length < 0) return;
  target[length] = 0;
  *strrchr(target, '/') = 0;
  snprintf(away, sizeof away, "%s.away", target);
  rename(target, away);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  static int halves;
  if (!real) real = dlsym(RTLD_NEXT, "write");
  if (is_log(fd)) {
    if (fault("write")) { errno = EIO; return -1; }
    if (!fault("later")) before = 0;
    if (cut && disclosure("full")) { errno = ENOSPC; return -1; }
    cut = 0;
    if (discloses(bytes, count)) {
      before++;
      if (disclosure("write")) { errno = EIO; return -1; }
      if (disclosure("full")) { cut = 1; return real(fd, bytes, count / 2); }
      if (disclosure("folder")) take_away(fd);
      unsynced = 1;
    }
    if (fault("full")) {
      if (halves++ % 2 == 0 && count > 1) return real(fd, bytes, count / 2);
      errno = ENOSPC;
      return -1;
    }
  }
  return real(fd, bytes, count);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  if (unsynced && is_log(fd)) {
    unsynced = 0;
    if (disclosure("sync")) { errno = EIO; return -1; }
  }
  if (is_log(fd) && fault("sync")) { errno = EIO; return -1; }
  return real(fd);
}

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *out) {
  static int (*real)(int, const char *, int, unsigned, struct statx *);
  if (!real) real = dlsym(RTLD_NEXT, "statx");
  if (is_log_path(path) && fault("permission")) { errno = EACCES; return -1; }
  return real(folder, path, flags, mask, out);
}

int open64(const char *path, int flags, ...) {
  static int (*real)(const char *, int, ...);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  if (!real) real = dlsym(RTLD_NEXT, "open64");
  if (is_log_path(path) && fault("permission")) { errno = EACCES; return -1; }
  return real(path, flags, mode);
}
