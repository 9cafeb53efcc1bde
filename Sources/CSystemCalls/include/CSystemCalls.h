#ifndef CSYSTEMCALLS_H
#define CSYSTEMCALLS_H
/* Calls that glibc declares only under _GNU_SOURCE, which Swift's Glibc module does not set. Each
   returns what the system call does, -1 with errno where it failed. */
#include <stdint.h>
#include <sys/types.h>

/* Copies count bytes between two files inside the kernel; returns how many were copied. */
ssize_t cs_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count);
/* The older way to copy inside the kernel: to the current position of the file `to`. */
ssize_t cs_sendfile(int to, int from, int64_t from_offset, size_t count);
/* Reads without keeping in memory what was not there before, where the system can (Linux 6.14), else as usual. */
ssize_t cs_read_once(int file, void *buffer, size_t count, int64_t offset);
/* Begins to write a part of a file to the disk, without waiting for it. */
int cs_start_writeback(int file, int64_t offset, int64_t count);
/* Takes the disk space of a file of this size now; the file keeps its size. */
int cs_reserve(int file, int64_t size);
/* Renames, failing with EEXIST where the target exists. */
int cs_rename_new(const char *from, const char *to);
/* Exchanges two names at once. */
int cs_exchange(const char *first, const char *second);
#endif
