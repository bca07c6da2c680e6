#define _GNU_SOURCE 1
#include "CLinux.h"

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
