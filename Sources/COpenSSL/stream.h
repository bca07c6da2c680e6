/* A TLS connection's way to its socket: one BIO over a non-blocking descriptor, and the calls that
 * move bytes through it. OpenSSL's own socket BIO would ask the kernel once more for each request
 * (a short receive already says that nothing is left), cannot bound what one call takes in, and
 * cannot say that more records follow. */
#pragma once

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    /* The last receive was short: the kernel has nothing more. */
    COPENSSL_DRAINED = 1,
    /* The peer sent FIN. */
    COPENSSL_ENDED = 2,
    /* The last send was short: the kernel takes no more. */
    COPENSSL_FULL = 4,
    /* More records follow in the same call. */
    COPENSSL_MORE = 8,
    /* The call's budget of received bytes is spent. */
    COPENSSL_SPENT = 16,
    /* A short receive does not mean drained, since the end was seen coming. */
    COPENSSL_MAY_END = 32,
};

/* What belongs to one connection: the BIO's data and the session's app data. */
struct copenssl_stream {
    int descriptor;
    /* errno of a receive or send that failed, 0 if none did. */
    int system_error;
    unsigned flags;
    /* Records since the last application data that held something else. */
    unsigned other_records;
    /* Bytes that may still be received in this call. */
    size_t budget;
    /* The newest ticket that a server gave, owned. */
    SSL_SESSION *session;
};

/* How a call ended. */
enum copenssl_outcome {
    COPENSSL_DONE,
    COPENSSL_WANTS_READ,
    COPENSSL_WANTS_WRITE,
    COPENSSL_BUDGET_SPENT,
    COPENSSL_CLOSE_NOTIFY,
    COPENSSL_TRUNCATED,
    COPENSSL_SYSTEM,
    COPENSSL_FLOODED,
    COPENSSL_FAILED,
};

/* TLS 1.3 peers may change keys at any time (RFC 8446, section 4.6.3) and servers may send some
 * tickets. A peer that sends little else keeps a processor busy with tiny records, since each
 * change of keys costs as much as the receipt of kilobytes. */
#define COPENSSL_MAX_OTHER_RECORDS 64

/* Bytes that one call of the handshake may receive: any ClientHello, any sane chain. */
#define COPENSSL_HANDSHAKE_BUDGET ((size_t)64 * 1024)

/* The largest record (RFC 8446, section 5.1). */
#define COPENSSL_RECORD ((size_t)16384)

static inline int copenssl_bio_read(BIO *bio, char *buffer, int length) {
    struct copenssl_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->flags & COPENSSL_DRAINED) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (stream->budget == 0) {
        stream->flags |= COPENSSL_SPENT;
        BIO_set_retry_read(bio);
        return -1;
    }
    /* Not glibc's recv: it is a cancellation point, which costs time in a threaded process. */
    long count;
    do {
        count = syscall(SYS_recvfrom, stream->descriptor, buffer, (size_t)length, 0, NULL, NULL);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        size_t taken = (size_t)count;
        stream->budget -= taken < stream->budget ? taken : stream->budget;
        if (count < length && !(stream->flags & COPENSSL_MAY_END))
            stream->flags |= COPENSSL_DRAINED;
        return (int)count;
    }
    if (count == 0) {
        stream->flags |= COPENSSL_ENDED;
        return 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        stream->flags |= COPENSSL_DRAINED;
        BIO_set_retry_read(bio);
    } else {
        stream->system_error = errno;
    }
    return -1;
}

static inline int copenssl_bio_write(BIO *bio, const char *bytes, int length) {
    struct copenssl_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->flags & COPENSSL_FULL) {
        BIO_set_retry_write(bio);
        return -1;
    }
    int flags = MSG_NOSIGNAL | (stream->flags & COPENSSL_MORE ? MSG_MORE : 0);
    long count;
    do {
        count = syscall(SYS_sendto, stream->descriptor, bytes, (size_t)length, flags, NULL, 0);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
        if (count < length) stream->flags |= COPENSSL_FULL;
        return (int)count;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        stream->flags |= COPENSSL_FULL;
        BIO_set_retry_write(bio);
    } else {
        stream->system_error = errno;
    }
    return -1;
}

static inline long copenssl_bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* The BIO's methods. Each SSL_CTX's owner makes its own and keeps it for as long as its sessions
 * live: OpenSSL gives out no more than 128 type numbers, so the type is a fixed one. */
static inline BIO_METHOD *copenssl_stream_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7f, "stream");
    if (method == NULL) return NULL;
    BIO_meth_set_read(method, copenssl_bio_read);
    BIO_meth_set_write(method, copenssl_bio_write);
    BIO_meth_set_ctrl(method, copenssl_bio_control);
    return method;
}

/* Counts what is no application data: OpenSSL tells of each record's header and, in TLS 1.3, of the
 * type inside of it. */
static inline void copenssl_on_record(
    int is_ours, int version, int kind, const void *bytes, size_t length, SSL *ssl, void *unused) {
    (void)version, (void)unused;
    if (is_ours || length == 0) return;
    if (kind != SSL3_RT_HEADER && kind != SSL3_RT_INNER_CONTENT_TYPE) return;
    struct copenssl_stream *stream = SSL_get_app_data(ssl);
    if (*(const unsigned char *)bytes != SSL3_RT_APPLICATION_DATA) stream->other_records++;
}

static inline int copenssl_attach(
    SSL *ssl, const BIO_METHOD *method, struct copenssl_stream *stream) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return SSL_set_app_data(ssl, stream);
}

/* Cheaper than clearing what is empty, which is what it always should be. */
static inline void copenssl_forget_errors(void) {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

static inline void copenssl_begin(struct copenssl_stream *stream, size_t budget) {
    stream->flags &= COPENSSL_MAY_END;
    stream->system_error = 0;
    stream->budget = budget;
    copenssl_forget_errors();
}

/* Why a call of OpenSSL's did not succeed. Leaves the error queue for whoever words the fault. */
static inline enum copenssl_outcome copenssl_cause(
    const SSL *ssl, const struct copenssl_stream *stream, int result) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return stream->flags & COPENSSL_SPENT ? COPENSSL_BUDGET_SPENT : COPENSSL_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return COPENSSL_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return COPENSSL_CLOSE_NOTIFY;
    case SSL_ERROR_SYSCALL:
        if (stream->system_error != 0) return COPENSSL_SYSTEM;
        return stream->flags & COPENSSL_ENDED ? COPENSSL_TRUNCATED : COPENSSL_FAILED;
    default:
        return COPENSSL_FAILED;
    }
}

static inline enum copenssl_outcome copenssl_handshake(SSL *ssl, struct copenssl_stream *stream) {
    copenssl_begin(stream, COPENSSL_HANDSHAKE_BUDGET);
    int result = SSL_do_handshake(ssl);
    if (result != 1) return copenssl_cause(ssl, stream, result);
    copenssl_forget_errors();
    stream->other_records = 0;
    return COPENSSL_DONE;
}

/* Reads until the buffer is full, the kernel drained or the budget spent. `count` is what was read,
 * whatever the outcome; COPENSSL_DONE means that more may be there. */
static inline enum copenssl_outcome copenssl_read(
    SSL *ssl, struct copenssl_stream *stream, unsigned char *buffer, size_t length, size_t *count) {
    /* What fits the buffer, and records' overhead. */
    copenssl_begin(stream, length + 2 * COPENSSL_RECORD);
    size_t done = 0;
    while (done < length) {
        size_t piece = 0;
        int result = SSL_read_ex(ssl, buffer + done, length - done, &piece);
        if (result != 1) {
            *count = done;
            if (stream->other_records > COPENSSL_MAX_OTHER_RECORDS) return COPENSSL_FLOODED;
            enum copenssl_outcome outcome = copenssl_cause(ssl, stream, result);
            /* Nobody would tell of what was not asked for yet. */
            if (outcome == COPENSSL_WANTS_READ && !(stream->flags & COPENSSL_DRAINED)) continue;
            return outcome;
        }
        done += piece;
        stream->other_records = 0;
        if ((stream->flags & COPENSSL_DRAINED) && !SSL_has_pending(ssl)) {
            *count = done;
            return COPENSSL_WANTS_READ;
        }
    }
    *count = done;
    return COPENSSL_DONE;
}

/* Writes until the kernel takes no more. A record that it did not take whole is kept by OpenSSL,
 * and its bytes do not count as written. */
static inline enum copenssl_outcome copenssl_write(
    SSL *ssl, struct copenssl_stream *stream, const unsigned char *bytes, size_t length,
    int more_follows, size_t *count) {
    copenssl_begin(stream, 0);
    size_t done = 0;
    while (done < length) {
        size_t rest = length - done;
        if (rest > COPENSSL_RECORD || more_follows)
            stream->flags |= COPENSSL_MORE;
        else
            stream->flags &= ~(unsigned)COPENSSL_MORE;
        size_t piece = 0;
        size_t offered = rest < COPENSSL_RECORD ? rest : COPENSSL_RECORD;
        int result = SSL_write_ex(ssl, bytes + done, offered, &piece);
        if (result != 1) {
            *count = done;
            return copenssl_cause(ssl, stream, result);
        }
        done += piece;
    }
    *count = done;
    return COPENSSL_DONE;
}

/* Sends close_notify if the kernel takes it now. */
static inline void copenssl_end(SSL *ssl, struct copenssl_stream *stream) {
    copenssl_begin(stream, 0);
    if (SSL_shutdown(ssl) < 0) ERR_clear_error();
}
