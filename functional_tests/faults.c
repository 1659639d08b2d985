/* Makes one system call fail, or ends the process in it: for test_faults.py.

   Loaded before the C library (LD_PRELOAD), this counts the calls that open or change something
   below one folder. fault_arm chooses the call and its fault. Before fault_arm, and after an exec,
   all calls behave normally.

     how 0     no fault: only count
     how -1    the process ends in the call, by _exit
     how -2    the process is killed in the call
     how > 0   the call fails with this errno; ENOSPC persists, for all calls that need space */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static long at, count;
static int how, full, report_fd = -1;

void fault_arm(long which, int what, const char *below, int report_to) {
    snprintf(folder, sizeof folder, "%s", below);
    folder_length = strlen(folder);
    at = which;
    how = what;
    report_fd = report_to;
}

long fault_count(void) { return count; }

static int is_below(const char *path) {
    return folder_length && path && strncmp(path, folder, folder_length) == 0;
}

static int fd_is_below(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static void report(const char *name) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (report_fd >= 0 && real(report_fd, name, strlen(name)) < 0) return;
}

static void end(void) {
    if (how == -1) _exit(70);
    kill(getpid(), SIGKILL);
}

/* Count a call. Returns 0 for no fault, 1 if the call must fail, 2 if the process must end. */
static int meets(const char *name, int needs_space) {
    long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (full && needs_space) {
        errno = ENOSPC;
        return 1;
    }
    if (number != at || how == 0) return 0;
    report(name);
    if (how < 0) return 2;
    full = how == ENOSPC;
    errno = how;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, name)

#define CALL(condition, name, needs_space, call) \
    if (condition) { \
        int met = meets(name, needs_space); \
        if (met == 1) return -1; \
        if (met == 2) end(); \
    } \
    return call

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        REAL(int, #symbol, const char *, int, ...); \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        CALL(is_below(path), "open", flags & O_CREAT, real(path, flags, mode)); \
    }
OPEN(open)
OPEN(open64)

DIR *opendir(const char *path) {
    REAL(DIR *, "opendir", const char *);
    if (is_below(path)) {
        int met = meets("opendir", 0);
        if (met == 1) return NULL;
        if (met == 2) end();
    }
    return real(path);
}

#define WRITE(symbol, parameters, arguments, half) \
    ssize_t symbol parameters { \
        REAL(ssize_t, #symbol, int, const void *, size_t, ...); \
        if (fd_is_below(fd)) { \
            int met = meets("write", 1); \
            if (met == 1) return -1; \
            if (met == 2) { \
                if (half < 0) end(); \
                end(); \
            } \
        } \
        return real arguments; \
    }
WRITE(write, (int fd, const void *data, size_t size), (fd, data, size), real(fd, data, size / 2))
WRITE(pwrite, (int fd, const void *data, size_t size, off_t where), (fd, data, size, where),
      real(fd, data, size / 2, where))
WRITE(pwrite64, (int fd, const void *data, size_t size, off64_t where), (fd, data, size, where),
      real(fd, data, size / 2, where))

#define ON_PATH(symbol, needs_space, parameters, types, arguments) \
    int symbol parameters { \
        static int (*real) types; \
        if (!real) real = dlsym(RTLD_NEXT, #symbol); \
        CALL(is_below(path), #symbol, needs_space, real arguments); \
    }
ON_PATH(mkdir, 1, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))
ON_PATH(rmdir, 0, (const char *path), (const char *), (path))
ON_PATH(unlink, 0, (const char *path), (const char *), (path))
ON_PATH(chmod, 0, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))
ON_PATH(rename, 0, (const char *path, const char *to), (const char *, const char *), (path, to))
ON_PATH(utimensat, 0, (int fd, const char *path, const struct timespec times[2], int flags),
        (int, const char *, const struct timespec *, int), (fd, path, times, flags))

int symlink(const char *to, const char *path) {
    REAL(int, "symlink", const char *, const char *);
    CALL(is_below(path), "symlink", 1, real(to, path));
}

int linkat(int from_fd, const char *from, int to_fd, const char *path, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    CALL(is_below(path), "linkat", 1, real(from_fd, from, to_fd, path, flags));
}

/* Removing a tree by descriptors passes names relative to an open folder. */
int unlinkat(int fd, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    CALL(fd_is_below(fd), "unlinkat", 0, real(fd, path, flags));
}

#define ON_FILE(symbol, parameters, types, arguments) \
    int symbol parameters { \
        static int (*real) types; \
        if (!real) real = dlsym(RTLD_NEXT, #symbol); \
        CALL(fd_is_below(fd), #symbol, 0, real arguments); \
    }
ON_FILE(fsync, (int fd), (int), (fd))
ON_FILE(flock, (int fd, int operation), (int, int), (fd, operation))
ON_FILE(ftruncate, (int fd, off_t size), (int, off_t), (fd, size))
ON_FILE(ftruncate64, (int fd, off64_t size), (int, off64_t), (fd, size))
