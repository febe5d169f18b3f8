/* An open-loop client: requests are sent when they are due, whether or not earlier ones were answered.

   open_loop PORT RATE SECONDS FILE [FILE ...]       RATE 0: closed loop, 16 connections; -n: n

   Each FILE is one whole HTTP/1.1 request; they are sent in turn. Prints JSON: for each status the count and the
   percentiles of the time from when a request was due to the last byte of its answer, in milliseconds. A request
   that finds no free connection opens one; "unsent" counts those beyond MAX_CONNECTIONS.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096
#define MAX_REQUESTS 2000000
#define CLOSED_LOOP 16
#define GRACE_S 40 /* for answers after the last request: longer than the service's deadlines */
#define HEAD_BYTES 8192

typedef struct {
    int fd, request, status, filled, connecting;
    size_t sent;
    long long rest; /* bytes of the answer's body to come; -1 while its head is */
    double due;
    char head[HEAD_BYTES];
} Connection;

typedef struct { char *data; size_t size; } Request;
typedef struct { int status; double ms; } Outcome;

static Connection connections[MAX_CONNECTIONS];
static int idle[MAX_CONNECTIONS], idle_count, open_count, waiting;
static Request *requests;
static Outcome *outcomes;
static int outcome_count, unsent, lost, epoll_fd, port;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void finish(Connection *c, int keep) {
    outcomes[outcome_count++] = (Outcome){c->status, (now() - c->due) * 1e3};
    waiting--;
    if (keep && c->sent == requests[c->request].size) {
        c->status = 0;
        idle[idle_count++] = (int)(c - connections);
        return;
    }
    close(c->fd);
    c->fd = -1;
}

static void lose(Connection *c) {
    if (c->due > 0) lost++, waiting--;
    close(c->fd);
    c->fd = -1;
}

static void watch(Connection *c, int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c->sent < requests[c->request].size) event.events |= EPOLLOUT;
    epoll_ctl(epoll_fd, operation, c->fd, &event);
}

static void push(Connection *c) {
    Request *r = &requests[c->request];
    while (c->sent < r->size) {
        ssize_t n = send(c->fd, r->data + c->sent, r->size - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN && errno != ENOTCONN && errno != EINPROGRESS) lose(c);
            break;
        }
        c->sent += n;
    }
    if (c->fd >= 0) watch(c, EPOLL_CTL_MOD);
}

static void start(int request, double due) {
    Connection *c = NULL;
    if (idle_count) {
        c = &connections[idle[--idle_count]];
    } else {
        for (int i = 0; i < open_count && !c; i++)
            if (connections[i].fd < 0) c = &connections[i];
        if (!c && open_count < MAX_CONNECTIONS) c = &connections[open_count++];
        if (!c) { unsent++; return; }
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int yes = 1;
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        connect(c->fd, (struct sockaddr *)&to, sizeof to);
        c->request = request, c->sent = 0;
        watch(c, EPOLL_CTL_ADD);
    }
    c->request = request, c->sent = 0, c->status = 0, c->filled = 0, c->rest = -1, c->due = due;
    waiting++;
    push(c);
}

static void pull(Connection *c) {
    static char data[1 << 16];
    for (;;) {
        ssize_t n = recv(c->fd, data, sizeof data, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) { lose(c); return; }
        if (c->rest < 0) {
            if (c->filled + n >= HEAD_BYTES) n = HEAD_BYTES - c->filled - 1;
            memcpy(c->head + c->filled, data, n);
            c->filled += n;
            c->head[c->filled] = 0;
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end) continue;
            char *length = strcasestr(c->head, "content-length:");
            c->status = atoi(c->head + 9);
            c->rest = (length ? atoll(length + 15) : 0) - (c->filled - (end + 4 - c->head));
        } else {
            c->rest -= n;
        }
        if (c->rest <= 0) {
            finish(c, strcasestr(c->head, "connection: close") == NULL);
            return;
        }
    }
}

static int by_time(const void *a, const void *b) {
    double x = ((const Outcome *)a)->ms, y = ((const Outcome *)b)->ms;
    return x < y ? -1 : x > y;
}

static void report(double seconds) {
    qsort(outcomes, outcome_count, sizeof *outcomes, by_time);
    printf("{\"seconds\": %.3f, \"unsent\": %d, \"lost\": %d, \"statuses\": {", seconds, unsent, lost + waiting);
    int first = 1;
    for (int status = 100; status < 600; status++) {
        double *ms = malloc(sizeof(double) * (outcome_count + 1));
        int n = 0;
        for (int i = 0; i < outcome_count; i++)
            if (outcomes[i].status == status) ms[n++] = outcomes[i].ms;
        if (n) {
            printf("%s\"%d\": {\"count\": %d, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f}",
                   first ? "" : ", ", status, n, ms[n / 2], ms[(int)(n * 0.99)], ms[n - 1]);
            first = 0;
        }
        free(ms);
    }
    printf("}}\n");
}

int main(int argc, char **argv) {
    if (argc < 5) { fprintf(stderr, "open_loop PORT RATE SECONDS FILE [FILE ...]\n"); return 2; }
    port = atoi(argv[1]);
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    int files = argc - 4, closed_loop = rate < 0 ? (int)-rate : CLOSED_LOOP;
    requests = calloc(files, sizeof *requests);
    outcomes = calloc(MAX_REQUESTS, sizeof *outcomes);
    for (int i = 0; i < files; i++) {
        FILE *f = fopen(argv[i + 4], "rb");
        if (!f) { perror(argv[i + 4]); return 2; }
        fseek(f, 0, SEEK_END);
        requests[i].size = ftell(f);
        requests[i].data = malloc(requests[i].size);
        rewind(f);
        if (fread(requests[i].data, 1, requests[i].size, f) != requests[i].size) return 2;
        fclose(f);
    }
    epoll_fd = epoll_create1(0);
    double began = now(), end = began + seconds;
    struct epoll_event events[512];
    int sent = 0;
    for (;;) {
        double time = now();
        if (time < end && sent < MAX_REQUESTS) {
            if (rate > 0)
                while (began + sent / rate <= time && sent < MAX_REQUESTS) {
                    start(sent % files, began + sent / rate);
                    sent++;
                }
            else
                while (waiting < closed_loop && sent < MAX_REQUESTS) start(sent++ % files, now());
        }
        if (time >= end && (!waiting || time >= end + GRACE_S)) break;
        double next = time >= end ? 0.1 : rate > 0 ? began + sent / rate - now() : 0.1;
        int n = epoll_wait(epoll_fd, events, 512, next <= 0 ? 0 : (int)(next * 1e3) + (next * 1e3 > 1 ? 0 : 1));
        for (int i = 0; i < n; i++) {
            Connection *c = events[i].data.ptr;
            if (c->fd < 0) continue;
            if (events[i].events & EPOLLOUT) push(c);
            if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                if (c->status == 0 && c->due > 0 && c->rest < 0) pull(c);
                else if (c->status && c->rest > 0) pull(c);
                else { /* an idle connection that the service has closed */
                    for (int k = 0; k < idle_count; k++)
                        if (idle[k] == c - connections) { idle[k] = idle[--idle_count]; break; }
                    close(c->fd), c->fd = -1;
                }
            }
        }
    }
    report(seconds);
    return 0;
}
