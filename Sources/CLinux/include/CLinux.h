/* What Linux offers and Swift's Glibc module does not show: accept4, epoll flags as plain
 * integers, and calls whose macros or variadic forms Swift cannot import. Only this library's
 * .c file defines _GNU_SOURCE: in this header it would make fd_set differ from Glibc's. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/// Accepts one connection, non-blocking and close-on-exec. Returns a descriptor or -1 with errno.
int clinux_accept(int listener, struct sockaddr_storage *address, socklen_t *length);

extern const uint32_t clinux_epoll_in;
extern const uint32_t clinux_epoll_out;
extern const uint32_t clinux_epoll_rdhup;
extern const uint32_t clinux_epoll_hup;
extern const uint32_t clinux_epoll_err;
extern const uint32_t clinux_epoll_edge_triggered;
extern const uint32_t clinux_epoll_exclusive;

/// Names the calling thread; the kernel refuses more than 15 bytes, so the first 15 count.
void clinux_name_thread(const char *name);

/// Sets how much the calling thread gives way to others; going up is always allowed. On Linux
/// niceness is each thread's own, whatever POSIX says.
void clinux_set_niceness(int niceness);

/// Processors this process may run on, or 1.
int clinux_processor_count(void);

/// The system's words for an errno: a static string.
const char *clinux_error_text(int code);

/* Receiving and sending without glibc's wrappers: those are cancellation points, and in a process
 * with several threads each call pays for that twice. No thread here is ever cancelled. */

/// Reads what has come, as recv(2) with no flags. Returns a count or -1 with errno.
ssize_t clinux_receive(int descriptor, void *buffer, size_t length);

/// Sends as send(2) with MSG_NOSIGNAL. Returns a count or -1 with errno.
ssize_t clinux_send(int descriptor, const void *buffer, size_t length);
