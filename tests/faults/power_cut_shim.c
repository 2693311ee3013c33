/* Records every change of files below $EMS_CUT_FOLDER, in order, to $EMS_CUT_LOG.
 *
 * Preloaded into a process (LD_PRELOAD), it stands before libc. A record is a header of six
 * 64-bit numbers: kind, length of path, length of second path, length of data, offset, spare;
 * then path, second path, data. power_cut.py reads it. Mappings (mmap) are not seen; DuckDB
 * and our own code write with the calls below.
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
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, SYNC, TRUNCATE, UNLINK, RENAME, CREATE, MKDIR, LINK };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -2;

static int under_folder(const char *path) {
    const char *folder = getenv("EMS_CUT_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int fd, char *out) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, out, PATH_MAX - 1);
    if (n < 0) return 0;
    out[n] = 0;
    return under_folder(out);
}

static int absolute(const char *path, char *out) {
    if (path[0] == '/') snprintf(out, PATH_MAX, "%s", path);
    else {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(out, PATH_MAX, "%.2000s/%.2000s", here, path);
    }
    return under_folder(out);
}

static void put(const void *data, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    const char *at = data;
    while (n) {
        ssize_t done = real(log_fd, at, n);
        if (done <= 0) return;
        at += done;
        n -= (size_t)done;
    }
}

static void note(int64_t kind, const char *path, const char *second, const void *data,
                 size_t length, int64_t offset) {
    static int (*real_open)(const char *, int, ...);
    if (log_fd == -2) {
        const char *name = getenv("EMS_CUT_LOG");
        if (!real_open) real_open = dlsym(RTLD_NEXT, "open");
        log_fd = name ? real_open(name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    }
    if (log_fd < 0) return;
    int64_t header[6] = {kind, (int64_t)strlen(path), second ? (int64_t)strlen(second) : 0,
                         (int64_t)length, offset, 0};
    put(header, sizeof header);
    put(path, strlen(path));
    if (second) put(second, strlen(second));
    if (length) put(data, length);
}

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, #name)
#define LOCKED(work) \
    do { int kept = errno; work; errno = kept; } while (0)

ssize_t write(int fd, const void *data, size_t n) {
    REAL(write, ssize_t, int, const void *, size_t);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, data, n);
    pthread_mutex_lock(&lock);
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    struct stat about;
    off_t at = appends && fstat(fd, &about) == 0 ? about.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t done = real(fd, data, n);
    if (done > 0) LOCKED(note(WRITE, path, NULL, data, (size_t)done, at));
    pthread_mutex_unlock(&lock);
    return done;
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t n, off_t at) { \
        REAL(name, ssize_t, int, const void *, size_t, off_t); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real(fd, data, n, at); \
        pthread_mutex_lock(&lock); \
        ssize_t done = real(fd, data, n, at); \
        if (done > 0) LOCKED(note(WRITE, path, NULL, data, (size_t)done, at)); \
        pthread_mutex_unlock(&lock); \
        return done; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SYNC_CALL(name) \
    int name(int fd) { \
        REAL(name, int, int); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real(fd); \
        pthread_mutex_lock(&lock); \
        int result = real(fd); \
        if (result == 0) LOCKED(note(SYNC, path, NULL, NULL, 0, 0)); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
SYNC_CALL(fsync)
SYNC_CALL(fdatasync)

#define TRUNCATE_CALL(name) \
    int name(int fd, off_t length) { \
        REAL(name, int, int, off_t); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real(fd, length); \
        pthread_mutex_lock(&lock); \
        int result = real(fd, length); \
        if (result == 0) LOCKED(note(TRUNCATE, path, NULL, NULL, 0, length)); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
TRUNCATE_CALL(ftruncate)
TRUNCATE_CALL(ftruncate64)

#define ONE_PATH(name, kind) \
    int name(const char *given) { \
        REAL(name, int, const char *); \
        char path[PATH_MAX]; \
        if (!absolute(given, path)) return real(given); \
        pthread_mutex_lock(&lock); \
        int result = real(given); \
        if (result == 0) LOCKED(note(kind, path, NULL, NULL, 0, 0)); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
ONE_PATH(unlink, UNLINK)
ONE_PATH(remove, UNLINK)

#define TWO_PATHS(name, kind) \
    int name(const char *from, const char *to) { \
        REAL(name, int, const char *, const char *); \
        char path[PATH_MAX], second[PATH_MAX]; \
        if (!absolute(from, path) || !absolute(to, second)) return real(from, to); \
        pthread_mutex_lock(&lock); \
        int result = real(from, to); \
        if (result == 0) LOCKED(note(kind, path, second, NULL, 0, 0)); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
TWO_PATHS(rename, RENAME)
TWO_PATHS(link, LINK)

int mkdir(const char *given, mode_t mode) {
    REAL(mkdir, int, const char *, mode_t);
    char path[PATH_MAX];
    if (!absolute(given, path)) return real(given, mode);
    pthread_mutex_lock(&lock);
    int result = real(given, mode);
    if (result == 0) LOCKED(note(MKDIR, path, NULL, NULL, 0, 0));
    pthread_mutex_unlock(&lock);
    return result;
}

#define OPEN(name) \
    int name(const char *given, int flags, ...) { \
        REAL(name, int, const char *, int, ...); \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list more; \
            va_start(more, flags); \
            mode = (mode_t)va_arg(more, int); \
            va_end(more); \
        } \
        char path[PATH_MAX]; \
        if (!(flags & (O_CREAT | O_TRUNC)) || !absolute(given, path)) \
            return real(given, flags, mode); \
        pthread_mutex_lock(&lock); \
        struct stat about; \
        int was_there = stat(path, &about) == 0; \
        int fd = real(given, flags, mode); \
        if (fd >= 0 && !was_there) LOCKED(note(CREATE, path, NULL, NULL, 0, 0)); \
        else if (fd >= 0 && (flags & O_TRUNC)) LOCKED(note(TRUNCATE, path, NULL, NULL, 0, 0)); \
        pthread_mutex_unlock(&lock); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

int openat(int folder, const char *given, int flags, ...) {
    REAL(openat, int, int, const char *, int, ...);
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list more;
        va_start(more, flags);
        mode = (mode_t)va_arg(more, int);
        va_end(more);
    }
    if (folder == AT_FDCWD) return open(given, flags, mode);
    return real(folder, given, flags, mode);
}
