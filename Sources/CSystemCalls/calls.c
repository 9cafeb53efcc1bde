#define _GNU_SOURCE
#include "CSystemCalls.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t cs_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count) {
    off64_t source = from_offset, target = to_offset;
    return copy_file_range(from, &source, to, &target, count, 0);
}

ssize_t cs_sendfile(int to, int from, int64_t from_offset, size_t count) {
    off_t source = from_offset;
    return sendfile(to, from, &source, count);
}

ssize_t cs_read_once(int file, void *buffer, size_t count, int64_t offset) {
    // RWF_DONTCACHE, which older headers do not have.
    const int once = 0x80;
    struct iovec part = {buffer, count};
    ssize_t done = preadv2(file, &part, 1, offset, once);
    if (done >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)) return done;
    return pread(file, buffer, count, offset);
}

int cs_start_writeback(int file, int64_t offset, int64_t count) {
    return sync_file_range(file, offset, count, SYNC_FILE_RANGE_WRITE);
}

int cs_reserve(int file, int64_t size) { return fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size); }

int cs_rename_new(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int cs_exchange(const char *first, const char *second) {
    return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
}
