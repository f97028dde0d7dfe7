/*
 * Loaded with LD_PRELOAD, this writes down what a process does to the files below one folder, so that a test can rebuild
 * what a disk would hold after a power failure (durable-image.ts): what was written and not synced may be gone, and so may
 * names whose folder was not synced. Syncs themselves are only written down: the page cache is all that the process needs.
 *
 *   POWER_SHIM_ROOT     the folder, an absolute path
 *   POWER_SHIM_JOURNAL  the file to write to; must lie elsewhere
 *   POWER_SHIM_FAIL     a folder elsewhere: while it holds a file `write` (or `sync`), writes to (syncs of) files of the
 *                       store fail with EIO
 *   POWER_SHIM_CLOCK    a file of 8 bytes, a signed number of seconds: wall time is off by so much
 *
 * A record: op u8, then inode, first number, second number u64 each, length u32, that many bytes (little-endian).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum op { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK, MKDIR, RMDIR };

#define FD_MAX 65536

static char root[PATH_MAX];
static size_t root_length;
static int journal = -1;
static uint64_t tracked[FD_MAX];
static char appends[FD_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t number;

static char fail_write[PATH_MAX], fail_sync[PATH_MAX];
static volatile const int64_t *clock_offset;

static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_open)(const char *, int, ...);

#define REAL(type, name, ...) \
  static type (*next)(__VA_ARGS__); \
  if (!next) next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void start(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_open = dlsym(RTLD_NEXT, "open");
  const char *fail = getenv("POWER_SHIM_FAIL"), *offset = getenv("POWER_SHIM_CLOCK");
  if (fail) {
    snprintf(fail_write, PATH_MAX, "%s/write", fail);
    snprintf(fail_sync, PATH_MAX, "%s/sync", fail);
  }
  if (offset) {
    int fd = real_open(offset, O_RDONLY | O_CLOEXEC);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) clock_offset = page;
  }
  const char *folder = getenv("POWER_SHIM_ROOT"), *file = getenv("POWER_SHIM_JOURNAL");
  if (!folder || !file || !realpath(folder, root)) return;
  root_length = strlen(root);
  journal = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* Under the lock. One write per record, so that a kill leaves whole records but the last. */
static void record(enum op op, uint64_t inode, uint64_t a, uint64_t b, const void *data, uint32_t length) {
  static char *buffer;
  static size_t size;
  size_t wanted = 29 + (size_t)length;
  if (wanted > size) {
    buffer = realloc(buffer, wanted);
    size = wanted;
  }
  buffer[0] = (char)op;
  memcpy(buffer + 1, &inode, 8);
  memcpy(buffer + 9, &a, 8);
  memcpy(buffer + 17, &b, 8);
  memcpy(buffer + 25, &length, 4);
  if (length) memcpy(buffer + 29, data, length);
  for (size_t done = 0; done < wanted;) {
    ssize_t n = real_write(journal, buffer + done, wanted - done);
    if (n <= 0) abort();
    done += (size_t)n;
  }
  number++;
}

static int below(const char *path, char *whole) {
  if (journal < 0 || !path) return 0;
  if (path[0] == '/') snprintf(whole, PATH_MAX, "%s", path);
  else {
    char here[PATH_MAX / 2];
    if (!getcwd(here, sizeof here) || strlen(path) >= PATH_MAX / 2) return 0;
    snprintf(whole, PATH_MAX, "%s/%s", here, path);
  }
  size_t length = strlen(whole);
  while (length > 1 && whole[length - 1] == '/') whole[--length] = 0;
  return strncmp(whole, root, root_length) == 0 && (whole[root_length] == '/' || whole[root_length] == 0);
}

static uint64_t inode_of(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 ? status.st_ino : 0;
}

/* The folder of a path, and the name in it. */
static uint64_t parent_of(const char *path, const char **name) {
  static char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t length = (size_t)(slash - path);
  memcpy(folder, path, length);
  folder[length] = 0;
  *name = slash + 1;
  return inode_of(folder);
}

static int track(int fd, const char *path, int flags, int existed) {
  if (fd < 0 || fd >= FD_MAX) return fd;
  struct stat status;
  if (fstat(fd, &status) != 0) return fd;
  tracked[fd] = status.st_ino;
  appends[fd] = (flags & O_APPEND) != 0;
  const char *name;
  if (!existed && (flags & O_CREAT)) {
    uint64_t parent = parent_of(path, &name);
    record(CREATE, parent, status.st_ino, 0, name, (uint32_t)strlen(name));
  } else if (flags & O_TRUNC) record(TRUNCATE, status.st_ino, 0, 0, NULL, 0);
  return fd;
}

#define OPEN(function)                                          \
  int function(const char *path, int flags, ...) {              \
    mode_t mode = 0;                                            \
    if (flags & (O_CREAT | O_TMPFILE)) {                        \
      va_list list;                                             \
      va_start(list, flags);                                    \
      mode = va_arg(list, mode_t);                              \
      va_end(list);                                             \
    }                                                           \
    REAL(int, #function, const char *, int, ...);               \
    char whole[PATH_MAX];                                       \
    if (!below(path, whole)) return next(path, flags, mode);    \
    pthread_mutex_lock(&lock);                                  \
    int existed = inode_of(whole) != 0;                         \
    int fd = track(next(path, flags, mode), whole, flags, existed); \
    pthread_mutex_unlock(&lock);                                \
    return fd;                                                  \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                        \
  int function(int folder, const char *path, int flags, ...) {  \
    mode_t mode = 0;                                            \
    if (flags & (O_CREAT | O_TMPFILE)) {                        \
      va_list list;                                             \
      va_start(list, flags);                                    \
      mode = va_arg(list, mode_t);                              \
      va_end(list);                                             \
    }                                                           \
    REAL(int, #function, int, const char *, int, ...);          \
    char whole[PATH_MAX];                                       \
    if ((folder != AT_FDCWD && path[0] != '/') || !below(path, whole)) return next(folder, path, flags, mode); \
    pthread_mutex_lock(&lock);                                  \
    int existed = inode_of(whole) != 0;                         \
    int fd = track(next(folder, path, flags, mode), whole, flags, existed); \
    pthread_mutex_unlock(&lock);                                \
    return fd;                                                  \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  REAL(int, "close", int);
  if (fd >= 0 && fd < FD_MAX) tracked[fd] = 0;
  return next(fd);
}

/* The tracked inode of a descriptor. libuv closes by system call, unseen: the number may be another file by now. */
static uint64_t of(int fd) {
  if (journal < 0 || fd < 0 || fd >= FD_MAX || fd == journal || !tracked[fd]) return 0;
  struct stat status;
  if (fstat(fd, &status) == 0 && status.st_ino == tracked[fd] && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) return tracked[fd];
  tracked[fd] = 0;
  return 0;
}

/* Whether an operation on a tracked file is to fail. */
static int fails(const char *control) {
  if (!control[0] || access(control, F_OK) != 0) return 0;
  errno = EIO;
  return 1;
}

static off_t place(int fd) {
  struct stat status;
  if (appends[fd]) return fstat(fd, &status) == 0 ? status.st_size : 0;
  return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t length) {
  if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
  uint64_t inode = of(fd);
  if (!inode) return real_write(fd, data, length);
  if (fails(fail_write)) return -1;
  pthread_mutex_lock(&lock);
  off_t at = place(fd);
  ssize_t n = real_write(fd, data, length);
  if (n > 0) record(WRITE, inode, (uint64_t)at, 0, data, (uint32_t)n);
  pthread_mutex_unlock(&lock);
  return n;
}

#define PWRITE(function, offset_type)                                             \
  ssize_t function(int fd, const void *data, size_t length, offset_type at) {     \
    REAL(ssize_t, #function, int, const void *, size_t, offset_type);             \
    uint64_t inode = of(fd);                                                      \
    if (!inode) return next(fd, data, length, at);                                \
    if (fails(fail_write)) return -1;                                             \
    pthread_mutex_lock(&lock);                                                    \
    ssize_t n = next(fd, data, length, at);                                       \
    if (n > 0) record(WRITE, inode, (uint64_t)at, 0, data, (uint32_t)n);          \
    pthread_mutex_unlock(&lock);                                                  \
    return n;                                                                     \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

static void record_vector(uint64_t inode, uint64_t at, const struct iovec *parts, int count, ssize_t written) {
  for (int i = 0; i < count && written > 0; i++) {
    size_t length = parts[i].iov_len < (size_t)written ? parts[i].iov_len : (size_t)written;
    if (length) record(WRITE, inode, at, 0, parts[i].iov_base, (uint32_t)length);
    at += length;
    written -= (ssize_t)length;
  }
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  uint64_t inode = of(fd);
  if (!inode) return next(fd, parts, count);
  if (fails(fail_write)) return -1;
  pthread_mutex_lock(&lock);
  off_t at = place(fd);
  ssize_t n = next(fd, parts, count);
  record_vector(inode, (uint64_t)at, parts, count, n);
  pthread_mutex_unlock(&lock);
  return n;
}

#define PWRITEV(function, offset_type)                                            \
  ssize_t function(int fd, const struct iovec *parts, int count, offset_type at) { \
    REAL(ssize_t, #function, int, const struct iovec *, int, offset_type);        \
    uint64_t inode = of(fd);                                                      \
    if (!inode) return next(fd, parts, count, at);                                \
    if (fails(fail_write)) return -1;                                             \
    pthread_mutex_lock(&lock);                                                    \
    ssize_t n = next(fd, parts, count, at);                                       \
    record_vector(inode, (uint64_t)at, parts, count, n);                          \
    pthread_mutex_unlock(&lock);                                                  \
    return n;                                                                     \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define FTRUNCATE(function, offset_type)                                          \
  int function(int fd, offset_type length) {                                      \
    REAL(int, #function, int, offset_type);                                       \
    uint64_t inode = of(fd);                                                      \
    pthread_mutex_lock(&lock);                                                    \
    int result = next(fd, length);                                                \
    if (result == 0 && inode) record(TRUNCATE, inode, (uint64_t)length, 0, NULL, 0); \
    pthread_mutex_unlock(&lock);                                                  \
    return result;                                                                \
  }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

/* Covers what was recorded before it began; nothing is really synced. */
static int note_sync(int fd) {
  uint64_t inode = of(fd);
  if (!inode) return 0;
  if (fails(fail_sync)) return -1;
  pthread_mutex_lock(&lock);
  record(SYNC, inode, number, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return 1;
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  int noted = note_sync(fd);
  return noted == 0 ? next(fd) : noted < 0 ? -1 : 0;
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  int noted = note_sync(fd);
  return noted == 0 ? next(fd) : noted < 0 ? -1 : 0;
}

/* No guarantee at all, as its manual says. */
int sync_file_range(int fd, off64_t at, off64_t length, unsigned int flags) {
  (void)fd, (void)at, (void)length, (void)flags;
  return 0;
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  char a[PATH_MAX], b[PATH_MAX];
  if (!below(from, a) || !below(to, b)) return next(from, to);
  pthread_mutex_lock(&lock);
  const char *name;
  uint64_t inode = inode_of(a), from_folder = parent_of(a, &name);
  char names[2 * NAME_MAX + 2];
  int length = snprintf(names, sizeof names, "%s/", name);
  uint64_t to_folder = parent_of(b, &name);
  length += snprintf(names + length, sizeof names - (size_t)length, "%s", name);
  int result = next(from, to);
  if (result == 0) record(RENAME, from_folder, to_folder, inode, names, (uint32_t)length);
  pthread_mutex_unlock(&lock);
  return result;
}

static void note_name(enum op op, const char *path, uint64_t inode) {
  const char *name;
  uint64_t folder = parent_of(path, &name);
  record(op, folder, inode, 0, name, (uint32_t)strlen(name));
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  char whole[PATH_MAX];
  if (!below(path, whole)) return next(path);
  pthread_mutex_lock(&lock);
  int result = next(path);
  if (result == 0) note_name(UNLINK, whole, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int unlinkat(int folder, const char *path, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  char whole[PATH_MAX];
  if ((folder != AT_FDCWD && path[0] != '/') || !below(path, whole)) return next(folder, path, flags);
  pthread_mutex_lock(&lock);
  int result = next(folder, path, flags);
  if (result == 0) note_name(flags & AT_REMOVEDIR ? RMDIR : UNLINK, whole, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int link(const char *from, const char *to) {
  REAL(int, "link", const char *, const char *);
  char a[PATH_MAX], b[PATH_MAX];
  if (!below(from, a) || !below(to, b)) return next(from, to);
  pthread_mutex_lock(&lock);
  int result = next(from, to);
  if (result == 0) note_name(LINK, b, inode_of(a));
  pthread_mutex_unlock(&lock);
  return result;
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  char whole[PATH_MAX];
  if (!below(path, whole)) return next(path, mode);
  pthread_mutex_lock(&lock);
  int result = next(path, mode);
  if (result == 0) note_name(MKDIR, whole, inode_of(whole));
  pthread_mutex_unlock(&lock);
  return result;
}

int rmdir(const char *path) {
  REAL(int, "rmdir", const char *);
  char whole[PATH_MAX];
  if (!below(path, whole)) return next(path);
  pthread_mutex_lock(&lock);
  int result = next(path);
  if (result == 0) note_name(RMDIR, whole, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  REAL(int, "gettimeofday", struct timeval *, void *);
  int result = next(now, zone);
  if (result == 0 && clock_offset) now->tv_sec += *clock_offset;
  return result;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  REAL(int, "clock_gettime", clockid_t, struct timespec *);
  int result = next(id, now);
  if (result == 0 && clock_offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *clock_offset;
  return result;
}
