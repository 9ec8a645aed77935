/* A disk that fails when it is told to: preloaded into the server under test.
 *
 * FAULTS_FOLDER names the folder whose files are concerned, FAULTS_ORDER a file that holds what is
 * to happen now: nothing, "full", "readonly", "sync-error", "hang" or "slow". It is read at every
 * operation, so a test changes the weather while the server runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

static ssize_t real_read(int fd, void *buffer, size_t count) {
    REAL(ssize_t, "read", int, void *, size_t);
    return real(fd, buffer, count);
}

static int real_open(const char *path, int flags, mode_t mode) {
    REAL(int, "open64", const char *, int, ...);
    return real(path, flags, mode);
}

/* Whether that is what is to happen now. */
static int ordered(const char *what) {
    const char *file = getenv("FAULTS_ORDER");
    char order[32] = {0};
    int saved = errno, fd = file ? real_open(file, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd >= 0) {
        if (real_read(fd, order, sizeof order - 1) < 0) order[0] = 0;
        close(fd);
    }
    errno = saved;
    return strcmp(order, what) == 0;
}

static int is_in_folder(const char *path) {
    const char *folder = getenv("FAULTS_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_ours(int fd) {
    char link[64], path[PATH_MAX];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length < 0) return 0;
    path[length] = 0;
    return is_in_folder(path);
}

static void rest(long milliseconds) {
    struct timespec pause = {0, milliseconds * 1000 * 1000};
    nanosleep(&pause, NULL);
}

static ssize_t no_room(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (is_ours(fd) && ordered("full")) {
        /* A disk that fills up takes what it still can. */
        return count > 1 ? real(fd, buffer, count / 2, offset) : no_room();
    }
    if (count > 1 && is_ours(fd) && ordered("slow")) {
        /* Half of it is there long before the rest, for whoever kills the process in between. */
        ssize_t half = real(fd, buffer, count / 2, offset);
        rest(3);
        return half;
    }
    return real(fd, buffer, count, offset);
}

ssize_t write(int fd, const void *buffer, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (is_ours(fd) && ordered("full")) return no_room();
    return real(fd, buffer, count);
}

static int sync_with(int (*real)(int), int fd) {
    if (is_ours(fd)) {
        if (ordered("sync-error")) {
            errno = EIO;
            return -1;
        }
        while (ordered("hang")) {
            rest(5);
        }
    }
    return real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return sync_with(real, fd);
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    return sync_with(real, fd);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && is_in_folder(path) && ordered("readonly")) {
        errno = EROFS;
        return -1;
    }
    return real_open(path, flags, mode);
}
