/*
 * Sends HTTP/1.1 requests at a fixed rate, whatever the answers do: a request that finds every
 * connection waiting is late, and its time counts from when it was due. Each request takes the next
 * token of a file. Prints one line:
 * REPORT {"sent": …, "answers": {"200": …}, "lost": …, "late": …, "p50": microseconds,
 * "p99": …, "p999": …, "max": …}; the first second is not counted.
 *
 *   openloop ADDRESS PORT PATH RATE SECONDS CONNECTIONS TOKENS|-
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 16384, STATUSES = 600 };

struct connection {
    int descriptor, waits;
    long long due;
    size_t held;
    char input[ROOM];
};

static struct sockaddr_in target = {.sin_family = AF_INET};
static struct connection *connections, **idle;
/* A ring: every connection gets its turn, and with it every worker of the server. */
static int size, idle_first, idle_count, poller;
static char **tokens, *path;
static size_t token_count;
static long statuses[STATUSES], lost, late, sent;
static double *times;
static long time_count, most_times;
static long long counted_from;

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void rest(struct connection *connection)
{
    idle[(idle_first + idle_count++) % size] = connection;
}

static struct connection *next_idle(void)
{
    struct connection *connection = idle[idle_first];
    idle_first = (idle_first + 1) % size;
    idle_count--;
    return connection;
}

static void read_tokens(const char *name)
{
    FILE *file = fopen(name, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file)
        fail(name);
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        tokens = realloc(tokens, (token_count + 1) * sizeof *tokens);
        tokens[token_count++] = strdup(line);
    }
    fclose(file);
}

static void open_connection(struct connection *connection)
{
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(descriptor, (struct sockaddr *)&target, sizeof target) != 0)
        fail("connect");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0)
        fail("epoll_ctl");
    connection->descriptor = descriptor;
    connection->waits = 0;
    connection->held = 0;
}

static void reopen(struct connection *connection)
{
    if (connection->waits) {
        lost++;
        rest(connection);
    }
    close(connection->descriptor);
    open_connection(connection);
}

static void request(struct connection *connection, long long due)
{
    static size_t turn;
    static char output[ROOM];
    int length = snprintf(
        output, sizeof output,
        "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: openloop/1\r\nAccept: */*\r\n%s%s%s\r\n",
        path, token_count ? "Authorization: Bearer " : "",
        token_count ? tokens[turn % token_count] : "", token_count ? "\r\n" : "");
    turn++;
    if (length >= (int)sizeof output)
        fail("token");
    connection->waits = 1;
    connection->due = due;
    sent++;
    if (send(connection->descriptor, output, (size_t)length, MSG_NOSIGNAL) != length)
        reopen(connection);
}

/* The length of the whole answer that `input` begins with, or 0 while some of it is to come. */
static size_t whole_answer(const char *input, size_t held)
{
    const char *end = memmem(input, held, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - input) + 4;
    const char *field = strcasestr(input, "\r\nContent-Length:");
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    return head + body <= held ? head + body : 0;
}

static void take(struct connection *connection)
{
    ssize_t count = recv(connection->descriptor, connection->input + connection->held,
                         ROOM - 1 - connection->held, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        reopen(connection);
        return;
    }
    connection->held += (size_t)count;
    connection->input[connection->held] = 0;
    if (!connection->waits || !whole_answer(connection->input, connection->held))
        return;
    int status = atoi(connection->input + 9);
    int closes = strcasestr(connection->input, "\r\nConnection: close") != NULL;
    if (connection->due >= counted_from && time_count < most_times) {
        times[time_count++] = (double)(now() - connection->due) / 1e3;
        statuses[status > 0 && status < STATUSES ? status : 0]++;
    }
    connection->waits = 0;
    connection->held = 0;
    rest(connection);
    if (closes)
        reopen(connection);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double quantile(double share)
{
    long index = (long)(share * (double)time_count);
    return time_count ? times[index < time_count ? index : time_count - 1] : 0;
}

static void report(void)
{
    qsort(times, (size_t)time_count, sizeof *times, ascending);
    printf("REPORT {\"sent\": %ld, \"answers\": {", sent);
    const char *separator = "";
    for (int status = 0; status < STATUSES; status++) {
        if (!statuses[status])
            continue;
        printf("%s\"%d\": %ld", separator, status, statuses[status]);
        separator = ", ";
    }
    printf("}, \"lost\": %ld, \"late\": %ld, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, "
           "\"max\": %.1f}\n",
           lost, late, quantile(0.5), quantile(0.99), quantile(0.999), quantile(1));
}

int main(int count, char **arguments)
{
    if (count != 8) {
        fprintf(stderr, "openloop ADDRESS PORT PATH RATE SECONDS CONNECTIONS TOKENS|-\n");
        return 64;
    }
    inet_pton(AF_INET, arguments[1], &target.sin_addr);
    target.sin_port = htons((unsigned short)atoi(arguments[2]));
    path = arguments[3];
    double rate = atof(arguments[4]), seconds = atof(arguments[5]);
    size = atoi(arguments[6]);
    if (strcmp(arguments[7], "-") != 0)
        read_tokens(arguments[7]);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)size, sizeof *connections);
    idle = calloc((size_t)size, sizeof *idle);
    for (int i = 0; i < size; i++) {
        open_connection(&connections[i]);
        rest(&connections[i]);
    }
    most_times = (long)(rate * seconds) + 1000;
    times = calloc((size_t)most_times, sizeof *times);

    long long step = (long long)(1e9 / rate);
    long long start = now(), end = start + (long long)(seconds * 1e9), due = start;
    counted_from = start + 1000000000ll;
    for (long long time = start; time < end; time = now()) {
        while (due <= time && idle_count > 0) {
            late += time - due > 1000000;
            request(next_idle(), due);
            due += step;
        }
        long long wait = idle_count > 0 && due > time ? due - time : idle_count > 0 ? 0 : 1000000;
        struct timespec patience = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        struct epoll_event events[64];
        int ready = epoll_pwait2(poller, events, 64, &patience, NULL);
        for (int i = 0; i < ready; i++)
            take(events[i].data.ptr);
    }
    report();
    return 0;
}
