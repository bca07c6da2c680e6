#define _GNU_SOURCE 1
#include "CLinux.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_accept(int listener, struct sockaddr_storage *address, socklen_t *length) {
    return accept4(listener, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

const uint32_t clinux_epoll_in = EPOLLIN;
const uint32_t clinux_epoll_out = EPOLLOUT;
const uint32_t clinux_epoll_rdhup = EPOLLRDHUP;
const uint32_t clinux_epoll_hup = EPOLLHUP;
const uint32_t clinux_epoll_err = EPOLLERR;
const uint32_t clinux_epoll_edge_triggered = EPOLLET;
const uint32_t clinux_epoll_exclusive = EPOLLEXCLUSIVE;

void clinux_name_thread(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}

void clinux_set_niceness(int niceness) {
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), niceness);
}

int clinux_processor_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

const char *clinux_error_text(int code) {
    const char *text = strerrordesc_np(code);
    return text ? text : "unknown error";
}

ssize_t clinux_receive(int descriptor, void *buffer, size_t length) {
    return syscall(SYS_recvfrom, descriptor, buffer, length, 0, NULL, NULL);
}

ssize_t clinux_send(int descriptor, const void *buffer, size_t length) {
    return syscall(SYS_sendto, descriptor, buffer, length, MSG_NOSIGNAL, NULL, 0);
}
