/*
 * Opens TLS connections one after the other, in several processes, until the time is up. Each
 * sends one small request, reads to the end of the connection (so the session ticket arrives) and
 * checks the status. Prints one line: REPORT {"requests": …, "failed": …, "seconds": …}
 *
 *   handshakes PORT SECONDS PROCESSES 1.2|1.3 fresh|resumed PATH STATUS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counters {
    atomic_long done, failed;
    char reason[160];
};

struct task {
    int port, version, resumes;
    const char *path, *status;
};

static struct counters *counters;
static SSL_SESSION *newest;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
}

static SSL_CTX *make_context(const struct task *task)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, task->version);
    SSL_CTX_set_max_proto_version(context, task->version);
    SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256");
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    /* P-256 is there for the certificate, which TLS 1.2 judges by this list too. */
    SSL_CTX_set1_groups_list(context, "X25519:P-256");
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

/* A source address for each process, so that connections in TIME_WAIT do not use up the ports. */
static int open_socket(int port, int process)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 5};
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000002u + (unsigned)process);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((unsigned short)port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0
        && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Returns NULL, or what went wrong. */
static const char *exchange(SSL *ssl, const struct task *task)
{
    char request[512], answer[4096];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                          task->path);
    int offered = newest != NULL && task->resumes;
    if (offered && SSL_set_session(ssl, newest) != 1)
        return "SSL_set_session";
    if (SSL_connect(ssl) != 1)
        return "handshake";
    if (offered && !SSL_session_reused(ssl))
        return "not resumed";
    if (SSL_write(ssl, request, length) != length)
        return "write";
    int received = SSL_read(ssl, answer, sizeof answer - 1);
    if (received < 12)
        return "no answer";
    answer[received] = 0;
    if (strncmp(answer + 9, task->status, 3) != 0)
        return "wrong status";
    while (SSL_read(ssl, answer, sizeof answer) > 0) {
    }
    return NULL;
}

static const char *connect_once(SSL_CTX *context, const struct task *task, int process)
{
    int fd = open_socket(task->port, process);
    if (fd < 0)
        return "connect";
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, "localhost");
    const char *problem = exchange(ssl, task);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
    return problem;
}

static void work(const struct task *task, double end, int process)
{
    SSL_CTX *context = make_context(task);
    while (now() < end) {
        const char *problem = connect_once(context, task, process);
        if (problem == NULL) {
            atomic_fetch_add(&counters->done, 1);
            continue;
        }
        if (atomic_fetch_add(&counters->failed, 1) == 0) {
            char detail[100] = "";
            ERR_error_string_n(ERR_peek_error(), detail, sizeof detail);
            snprintf(counters->reason, sizeof counters->reason, "%s: %s", problem, detail);
        }
        ERR_clear_error();
        usleep(1000);
    }
}

int main(int count, char **arguments)
{
    if (count != 8) {
        fprintf(stderr, "handshakes PORT SECONDS PROCESSES 1.2|1.3 fresh|resumed PATH STATUS\n");
        return 64;
    }
    struct task task = {
        .port = atoi(arguments[1]),
        .version = strcmp(arguments[4], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION,
        .resumes = strcmp(arguments[5], "resumed") == 0,
        .path = arguments[6],
        .status = arguments[7],
    };
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    double start = now(), end = start + atof(arguments[2]);
    for (int process = 0; process < atoi(arguments[3]); process++) {
        if (fork() == 0) {
            work(&task, end, process);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    if (counters->failed)
        fprintf(stderr, "%s\n", counters->reason);
    printf("REPORT {\"requests\": %ld, \"failed\": %ld, \"seconds\": %.6f}\n", counters->done,
           counters->failed, now() - start);
    return 0;
}
