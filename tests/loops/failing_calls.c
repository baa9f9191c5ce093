/* Makes the k-th use of one system call fail with EIO, when its file lies below one folder; for LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char armed[32], folder[PATH_MAX];
static long at, used;

/* k = 0 counts only. */
void fail_at(const char *call, long k, const char *below) {
    snprintf(armed, sizeof armed, "%s", call);
    snprintf(folder, sizeof folder, "%s", below);
    at = k;
    used = 0;
}

long times_used(void) { return used; }

static int below(int dir, const char *path) {
    char whole[PATH_MAX * 2], link[64];
    ssize_t n = 0;
    if (path && path[0] == '/') return strncmp(path, folder, strlen(folder)) == 0;
    if (dir == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    n = readlink(link, whole, sizeof whole - 1);
    return n > 0 && (size_t)n >= strlen(folder) && strncmp(whole, folder, strlen(folder)) == 0;
}

static int fails(const char *call, int dir, const char *path) {
    if (strcmp(call, armed) != 0 || !below(dir, path)) return 0;
    if (__sync_add_and_fetch(&used, 1) != at) return 0;
    errno = EIO;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return fails("fsync", fd, 0) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fails("fdatasync", fd, 0) ? -1 : NEXT(fdatasync)(fd); }
ssize_t write(int fd, const void *p, size_t n) { return fd > 2 && fails("write", fd, 0) ? -1 : NEXT(write)(fd, p, n); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t o) {
    return fails("pwrite", fd, 0) ? -1 : NEXT(pwrite64)(fd, p, n, o);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t o) { return pwrite64(fd, p, n, o); }
int ftruncate64(int fd, off64_t n) { return fails("ftruncate", fd, 0) ? -1 : NEXT(ftruncate64)(fd, n); }
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
int posix_fallocate64(int fd, off64_t o, off64_t n) {
    return fails("fallocate", fd, 0) ? EIO : NEXT(posix_fallocate64)(fd, o, n);
}
int posix_fallocate(int fd, off_t o, off_t n) { return posix_fallocate64(fd, o, n); }
int mkdir(const char *p, mode_t m) { return fails("mkdir", AT_FDCWD, p) ? -1 : NEXT(mkdir)(p, m); }
int unlink(const char *p) { return fails("unlink", AT_FDCWD, p) ? -1 : NEXT(unlink)(p); }
int unlinkat(int d, const char *p, int f) { return fails("unlink", d, p) ? -1 : NEXT(unlinkat)(d, p, f); }
int rename(const char *a, const char *b) { return fails("rename", AT_FDCWD, a) ? -1 : NEXT(rename)(a, b); }
int renameat(int d, const char *a, int e, const char *b) {
    return fails("rename", d, a) ? -1 : NEXT(renameat)(d, a, e, b);
}
int renameat2(int d, const char *a, int e, const char *b, unsigned f) {
    return fails("rename", d, a) ? -1 : NEXT(renameat2)(d, a, e, b, f);
}
int open64(const char *p, int f, ...) {
    va_list more;
    va_start(more, f);
    mode_t m = va_arg(more, mode_t);
    va_end(more);
    return fails("open", AT_FDCWD, p) ? -1 : NEXT(open64)(p, f, m);
}
int open(const char *p, int f, ...) {
    va_list more;
    va_start(more, f);
    mode_t m = va_arg(more, mode_t);
    va_end(more);
    return fails("open", AT_FDCWD, p) ? -1 : NEXT(open64)(p, f, m);
}
int openat64(int d, const char *p, int f, ...) {
    va_list more;
    va_start(more, f);
    mode_t m = va_arg(more, mode_t);
    va_end(more);
    return fails("open", d, p) ? -1 : NEXT(openat64)(d, p, f, m);
}
int openat(int d, const char *p, int f, ...) {
    va_list more;
    va_start(more, f);
    mode_t m = va_arg(more, mode_t);
    va_end(more);
    return fails("open", d, p) ? -1 : NEXT(openat64)(d, p, f, m);
}
