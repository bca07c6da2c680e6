/* SSL_CTX for both sides: what is offered and asked for, and the callbacks that need no Swift. */
#pragma once

#include "material.h"
#include "stream.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

/* One ticket key as nginx and others lay it out: name, HMAC key, AES key. */
struct copenssl_ticket_key {
    unsigned char name[16];
    unsigned char mac_key[32];
    unsigned char cipher_key[32];
};

#define COPENSSL_TICKET_KEYS 4

/* The keys of a worker, newest first. The cipher is fetched once: each fetch takes locks. */
struct copenssl_ticket_keys {
    EVP_CIPHER *cipher;
    int count;
    struct copenssl_ticket_key keys[COPENSSL_TICKET_KEYS];
};

/* What a server's SSL_CTX has at hand for its callbacks, as its app data. */
struct copenssl_server {
    struct copenssl_ticket_keys *tickets;
    /* ALPN names with their lengths (RFC 7301, section 3.1), in order of preference. */
    const unsigned char *protocols;
    unsigned protocols_length;
    /* The certificates of the SSL_CTX, for their OCSP responses. */
    const struct copenssl_identity *const *identities;
    size_t identity_count;
};

/* Suites with forward secrecy and authenticated encryption only. AES-128 first: it is as strong as
 * the key exchange and the fastest. */
#define COPENSSL_SUITES                                          \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define COPENSSL_SUITES_13 \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* What both sides have in common; 0 where OpenSSL refuses. */
static inline int copenssl_configure(SSL_CTX *context, int minimum_is_13) {
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE
            | SSL_OP_PRIORITIZE_CHACHA);
    /* Idle connections keep no buffers; a receive takes all that is there, not a header first. */
    SSL_CTX_set_mode(
        context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
            | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_msg_callback(context, copenssl_on_record);
    return SSL_CTX_set_min_proto_version(context, minimum_is_13 ? TLS1_3_VERSION : TLS1_2_VERSION)
            == 1
        && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1
        && SSL_CTX_set_cipher_list(context, COPENSSL_SUITES) == 1
        && SSL_CTX_set_ciphersuites(context, COPENSSL_SUITES_13) == 1
        && SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
}

/* Adds a certificate with its chain and key beside those of other key types. */
static inline enum copenssl_material copenssl_use_identity(
    SSL_CTX *context, const struct copenssl_identity *identity) {
    ERR_clear_error();
    int taken = SSL_CTX_use_cert_and_key(
        context, identity->certificate, identity->key, identity->chain, 1);
    if (taken == 1) return COPENSSL_GOOD;
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    ERR_clear_error();
    switch (reason) {
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
        return COPENSSL_WEAK_KEY;
    case SSL_R_PRIVATE_KEY_MISMATCH:
        return COPENSSL_KEY_MISMATCH;
    default:
        return COPENSSL_REFUSED;
    }
}

/* The server's choice among the client's protocols. No overlap ends the handshake (RFC 7301,
 * section 3.2). */
static inline int copenssl_on_alpn(
    SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
    const unsigned char *offered, unsigned offered_length, void *argument) {
    (void)ssl;
    const struct copenssl_server *server = argument;
    unsigned char *pick = NULL;
    int outcome = SSL_select_next_proto(
        &pick, chosen_length, server->protocols, server->protocols_length, offered,
        offered_length);
    if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = pick;
    return SSL_TLSEXT_ERR_OK;
}

/* Staples the OCSP response of the certificate that is sent, while it holds. */
static inline int copenssl_on_status_request(SSL *ssl, void *argument) {
    const struct copenssl_server *server = argument;
    const X509 *sent = SSL_get_certificate(ssl);
    for (size_t i = 0; i < server->identity_count; i++) {
        const struct copenssl_identity *identity = server->identities[i];
        if (identity->certificate != sent || identity->staple == NULL) continue;
        if (identity->staple_end <= time(NULL)) break;
        unsigned char *copy = OPENSSL_memdup(identity->staple, identity->staple_length);
        if (copy == NULL) break;
        /* OpenSSL owns the copy from here. */
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)identity->staple_length);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static inline int copenssl_prepare_mac(EVP_MAC_CTX *mac, struct copenssl_ticket_key *key) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac_key, sizeof key->mac_key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters);
}

/* Seals a ticket with the newest key, or opens one with the key of its name (RFC 5077, section 4).
 * Returns 1 to go on, 2 to go on and renew, 0 for no ticket, below 0 for a failure. */
static inline int copenssl_on_ticket(
    SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int seals) {
    const struct copenssl_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct copenssl_ticket_keys *tickets = server->tickets;
    if (seals) {
        if (tickets->count == 0 || RAND_bytes(iv, 16) != 1) return -1;
        struct copenssl_ticket_key *key = &tickets->keys[0];
        memcpy(name, key->name, sizeof key->name);
        int done = EVP_EncryptInit_ex2(cipher, tickets->cipher, key->cipher_key, iv, NULL) == 1
            && copenssl_prepare_mac(mac, key) == 1;
        return done ? 1 : -1;
    }
    for (int i = 0; i < tickets->count; i++) {
        struct copenssl_ticket_key *key = &tickets->keys[i];
        if (memcmp(name, key->name, sizeof key->name) != 0) continue;
        int done = EVP_DecryptInit_ex2(cipher, tickets->cipher, key->cipher_key, iv, NULL) == 1
            && copenssl_prepare_mac(mac, key) == 1;
        return !done ? -1 : i == 0 ? 1 : 2;
    }
    return 0;
}

/* Ignores a ticket whose client certificate has expired since, so that the whole handshake, with
 * its checks, takes place. */
static inline SSL_TICKET_RETURN copenssl_on_opened_ticket(
    SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
    SSL_TICKET_STATUS status, void *unused) {
    (void)ssl, (void)name, (void)name_length, (void)unused;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    X509 *client = SSL_SESSION_get0_peer(session);
    if (client != NULL && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    /* TLS 1.3 clients get a new ticket in every handshake (RFC 8446, appendix C.4). */
    if (status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) >= TLS1_3_VERSION)
        return SSL_TICKET_RETURN_USE_RENEW;
    return SSL_TICKET_RETURN_USE;
}

/* Two hours, in seconds: what the ticket keys' rotation allows for. */
#define COPENSSL_TICKET_LIFETIME 7200

/* A server's SSL_CTX without certificates. `server` must outlive it. */
static inline SSL_CTX *copenssl_server_context(
    struct copenssl_server *server, int minimum_is_13, const unsigned char *session_scope,
    unsigned scope_length) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) return NULL;
    SSL_CTX_set_app_data(context, server);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, COPENSSL_TICKET_LIFETIME);
    if (server->protocols_length > 0)
        SSL_CTX_set_alpn_select_cb(context, copenssl_on_alpn, server);
    SSL_CTX_set_tlsext_status_cb(context, copenssl_on_status_request);
    SSL_CTX_set_tlsext_status_arg(context, server);
    if (copenssl_configure(context, minimum_is_13) == 1
        && SSL_CTX_set_num_tickets(context, 1) == 1
        && SSL_CTX_set_session_id_context(context, session_scope, scope_length) == 1
        && SSL_CTX_set_tlsext_ticket_key_evp_cb(context, copenssl_on_ticket) == 1
        && SSL_CTX_set_session_ticket_cb(
               context, NULL, copenssl_on_opened_ticket, NULL) == 1)
        return context;
    SSL_CTX_free(context);
    ERR_clear_error();
    return NULL;
}

/* Asks clients for a certificate of one of these authorities. */
static inline int copenssl_ask_clients(
    SSL_CTX *context, X509_STORE *authorities, const STACK_OF(X509_NAME) *names, int is_required) {
    STACK_OF(X509_NAME) *copy = SSL_dup_CA_list(names);
    if (copy == NULL) return 0;
    SSL_CTX_set_client_CA_list(context, copy);
    SSL_CTX_set1_cert_store(context, authorities);
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    SSL_CTX_set_verify(
        context, mode | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return 1;
}

static inline void copenssl_on_server_name(
    SSL_CTX *context, int (*choose)(SSL *, int *, void *), void *table) {
    SSL_CTX_set_tlsext_servername_callback(context, choose);
    SSL_CTX_set_tlsext_servername_arg(context, table);
}

/* A server's end of a connection. */
static inline SSL *copenssl_accepting(
    SSL_CTX *context, const BIO_METHOD *method, struct copenssl_stream *stream) {
    ERR_clear_error();
    SSL *ssl = SSL_new(context);
    if (ssl == NULL) return NULL;
    const struct copenssl_server *server = SSL_CTX_get_app_data(context);
    if (server->tickets->count == 0) {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(ssl, 0);
    }
    if (copenssl_attach(ssl, method, stream) == 1) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_free(ssl);
    return NULL;
}

/* Keeps the newest ticket that a server gives. Returns 1: the reference is taken over. */
static inline int copenssl_on_session(SSL *ssl, SSL_SESSION *session) {
    struct copenssl_stream *stream = SSL_get_app_data(ssl);
    SSL_SESSION_free(stream->session);
    stream->session = session;
    return 1;
}

/* A client's SSL_CTX. Takes over no reference; without `trust` it uses the system's store. */
static inline SSL_CTX *copenssl_client_context(
    X509_STORE *trust, int verifies, const unsigned char *protocols, unsigned protocols_length) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    SSL_CTX_set_session_cache_mode(
        context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, copenssl_on_session);
    SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (trust != NULL) SSL_CTX_set1_cert_store(context, trust);
    if (copenssl_configure(context, 0) == 1
        && (trust != NULL || !verifies || SSL_CTX_set_default_verify_paths(context) == 1)
        && (protocols_length == 0
            || SSL_CTX_set_alpn_protos(context, protocols, protocols_length) == 0))
        return context;
    SSL_CTX_free(context);
    ERR_clear_error();
    return NULL;
}

/* Whom a client means to reach: a DNS name or an address, ending with NUL. */
static inline int copenssl_expect(SSL *ssl, const char *name, size_t length, int is_address) {
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(rules, name);
    /* RFC 6125, section 6.4: neither the common name nor a wildcard for a part of a label. */
    X509_VERIFY_PARAM_set_hostflags(
        rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* OpenSSL would take a name that begins with a dot for any name below it. */
    return length > 0 && name[0] != '.' && X509_VERIFY_PARAM_set1_host(rules, name, length) == 1
        && SSL_set_tlsext_host_name(ssl, name) == 1;
}

/* Lets a connection resume a session. It gets a copy: OpenSSL marks a TLS 1.3 session as used up,
 * but connections to an upstream have no privacy to lose by showing a ticket twice (RFC 8446,
 * appendix C.4). */
static inline int copenssl_resume(SSL *ssl, const SSL_SESSION *session) {
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    if (copy == NULL) return 0;
    int done = SSL_set_session(ssl, copy);
    SSL_SESSION_free(copy);
    return done;
}

/* A client's end of a connection. `resumed` may be NULL. */
static inline SSL *copenssl_connecting(
    SSL_CTX *context, const BIO_METHOD *method, struct copenssl_stream *stream, const char *name,
    size_t name_length, int is_address, const SSL_SESSION *resumed) {
    ERR_clear_error();
    SSL *ssl = SSL_new(context);
    if (ssl == NULL) return NULL;
    if (copenssl_expect(ssl, name, name_length, is_address) == 1
        && (resumed == NULL || copenssl_resume(ssl, resumed) == 1)
        && copenssl_attach(ssl, method, stream) == 1) {
        SSL_set_connect_state(ssl);
        return ssl;
    }
    SSL_free(ssl);
    ERR_clear_error();
    return NULL;
}

/* Ends a session. A client's ticket stays usable though the connection ended without close_notify,
 * which says nothing about the keys. */
static inline void copenssl_close(SSL *ssl, struct copenssl_stream *stream) {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    SSL_SESSION_free(stream->session);
    stream->session = NULL;
    copenssl_forget_errors();
}
