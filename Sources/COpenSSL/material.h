/* Certificates, keys and OCSP responses from files, as OpenSSL's objects. */
#pragma once

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum copenssl_material {
    COPENSSL_GOOD,
    COPENSSL_NO_CERTIFICATE,
    COPENSSL_BAD_CERTIFICATE,
    COPENSSL_NO_KEY,
    COPENSSL_BAD_KEY,
    COPENSSL_ENCRYPTED_KEY,
    COPENSSL_KEY_MISMATCH,
    COPENSSL_WEAK_KEY,
    COPENSSL_BAD_STAPLE,
    COPENSSL_REFUSED,
};

/* A certificate with its key, and the answer about it from its issuer's OCSP responder. */
struct copenssl_identity {
    X509 *certificate;
    STACK_OF(X509) *chain;
    EVP_PKEY *key;
    unsigned char *staple;
    size_t staple_length;
    /* Seconds since 1970 from which the response is not sent any more. */
    int64_t staple_end;
};

static inline void copenssl_identity_free(struct copenssl_identity *identity) {
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    OPENSSL_free(identity->staple);
}

static inline int64_t copenssl_seconds(const ASN1_TIME *time) {
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) return INT64_MIN;
    return timegm(&parts);
}

static inline BIO *copenssl_pem(const unsigned char *bytes, size_t length) {
    if (length == 0 || length > INT_MAX) return NULL;
    return BIO_new_mem_buf(bytes, (int)length);
}

/* Whether reading PEM ended because nothing more is there. Empties the queue. */
static inline int copenssl_is_end_of_pem(void) {
    unsigned long error = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* All certificates of a file, in order; NULL with what is wrong. */
static inline STACK_OF(X509) *copenssl_certificates(
    const unsigned char *bytes, size_t length, enum copenssl_material *problem) {
    *problem = COPENSSL_NO_CERTIFICATE;
    BIO *pem = copenssl_pem(bytes, length);
    if (pem == NULL) return NULL;
    STACK_OF(X509) *found = sk_X509_new_null();
    while (found != NULL) {
        X509 *next = PEM_read_bio_X509(pem, NULL, NULL, "");
        if (next == NULL) break;
        if (sk_X509_push(found, next) == 0) {
            X509_free(next);
            break;
        }
    }
    BIO_free(pem);
    if (!copenssl_is_end_of_pem())
        *problem = COPENSSL_BAD_CERTIFICATE;
    else if (sk_X509_num(found) > 0)
        return found;
    sk_X509_pop_free(found, X509_free);
    return NULL;
}

/* Asked for a password: there is none, and nobody to ask. */
static inline int copenssl_no_password(char *buffer, int size, int writing, void *was_asked) {
    (void)buffer, (void)size, (void)writing;
    *(int *)was_asked = 1;
    return -1;
}

static inline enum copenssl_material copenssl_load_key(
    struct copenssl_identity *identity, const unsigned char *bytes, size_t length) {
    BIO *pem = copenssl_pem(bytes, length);
    if (pem == NULL) return COPENSSL_NO_KEY;
    int was_asked = 0;
    identity->key = PEM_read_bio_PrivateKey(pem, NULL, copenssl_no_password, &was_asked);
    BIO_free(pem);
    if (identity->key != NULL) {
        ERR_clear_error();
        return X509_check_private_key(identity->certificate, identity->key) == 1
            ? COPENSSL_GOOD : COPENSSL_KEY_MISMATCH;
    }
    ERR_clear_error();
    if (was_asked) return COPENSSL_ENCRYPTED_KEY;
    /* The decoder's errors do not tell a broken key from none: look for a key's first line. */
    for (size_t i = 0; i + 12 <= length; i++)
        if (memcmp(bytes + i, "PRIVATE KEY-", 12) == 0) return COPENSSL_BAD_KEY;
    return COPENSSL_NO_KEY;
}

/* Takes a response if it is a successful one about this certificate. */
static inline enum copenssl_material copenssl_load_staple(
    struct copenssl_identity *identity, const unsigned char *bytes, size_t length) {
    if (length == 0 || length > INT_MAX) return COPENSSL_BAD_STAPLE;
    const unsigned char *next = bytes;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, (long)length);
    OCSP_BASICRESP *basic = NULL;
    if (response != NULL && next == bytes + length
        && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(identity->certificate);
    for (int i = 0; basic != NULL && i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *about = NULL;
        ASN1_GENERALIZEDTIME *end = NULL;
        OCSP_id_get0_info(
            NULL, NULL, NULL, &about, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
        if (about == NULL || ASN1_INTEGER_cmp(about, serial) != 0) continue;
        OCSP_single_get0_status(single, NULL, NULL, NULL, &end);
        identity->staple_end = end == NULL ? INT64_MAX : copenssl_seconds(end);
        identity->staple = OPENSSL_memdup(bytes, length);
        identity->staple_length = length;
        break;
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return identity->staple != NULL ? COPENSSL_GOOD : COPENSSL_BAD_STAPLE;
}

/* Fills an identity that is all zeros; the caller frees it whatever came of it. */
static inline enum copenssl_material copenssl_identity_load(
    struct copenssl_identity *identity, const unsigned char *certificates,
    size_t certificates_length, const unsigned char *key, size_t key_length,
    const unsigned char *staple, size_t staple_length) {
    ERR_clear_error();
    enum copenssl_material problem;
    identity->chain = copenssl_certificates(certificates, certificates_length, &problem);
    if (identity->chain == NULL) return problem;
    identity->certificate = sk_X509_shift(identity->chain);
    problem = copenssl_load_key(identity, key, key_length);
    ERR_clear_error();
    if (problem != COPENSSL_GOOD || staple == NULL) return problem;
    return copenssl_load_staple(identity, staple, staple_length);
}

static inline int copenssl_key_type(const struct copenssl_identity *identity) {
    return EVP_PKEY_get_base_id(identity->key);
}

/* Gives out the names that a certificate is for: dNSNames, or the common name where it has no
 * subjectAltName at all. */
static inline void copenssl_names(
    const struct copenssl_identity *identity,
    void (*emit)(void *, const unsigned char *, size_t), void *target) {
    GENERAL_NAMES *names =
        X509_get_ext_d2i(identity->certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) continue;
        emit(target, ASN1_STRING_get0_data(name->d.dNSName),
            (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    if (names == NULL) {
        X509_NAME *subject = X509_get_subject_name(identity->certificate);
        int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
        unsigned char *text = NULL;
        int length = place < 0 ? -1
            : ASN1_STRING_to_UTF8(
                &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
        if (length > 0) emit(target, text, (size_t)length);
        OPENSSL_free(text);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

/* A store of the certificates in a file, or NULL. With `names`, also their subjects. */
static inline X509_STORE *copenssl_store(
    const unsigned char *bytes, size_t length, STACK_OF(X509_NAME) **names) {
    ERR_clear_error();
    enum copenssl_material problem;
    STACK_OF(X509) *found = copenssl_certificates(bytes, length, &problem);
    if (found == NULL) return NULL;
    X509_STORE *store = X509_STORE_new();
    if (names != NULL) *names = sk_X509_NAME_new_null();
    int is_good = store != NULL && (names == NULL || *names != NULL);
    for (int i = 0; is_good && i < sk_X509_num(found); i++) {
        X509 *certificate = sk_X509_value(found, i);
        is_good = X509_STORE_add_cert(store, certificate) == 1;
        if (names == NULL || !is_good) continue;
        X509_NAME *subject = X509_NAME_dup(X509_get_subject_name(certificate));
        is_good = subject != NULL && sk_X509_NAME_push(*names, subject) > 0;
    }
    sk_X509_pop_free(found, X509_free);
    ERR_clear_error();
    if (is_good) return store;
    X509_STORE_free(store);
    if (names != NULL) {
        sk_X509_NAME_pop_free(*names, X509_NAME_free);
        *names = NULL;
    }
    return NULL;
}

/* The subject as RFC 4514 writes it, in UTF-8, with control characters escaped; NULL if it cannot
 * be written. The caller frees it with `copenssl_free`. */
static inline unsigned char *copenssl_subject(const X509 *certificate, size_t *length) {
    BIO *text = BIO_new(BIO_s_mem());
    if (text == NULL) return NULL;
    unsigned long form = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    unsigned char *copy = NULL;
    if (X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, form) >= 0) {
        char *data = NULL;
        long count = BIO_get_mem_data(text, &data);
        /* One byte more, so that an empty subject is not NULL. */
        copy = count >= 0 ? OPENSSL_malloc((size_t)count + 1) : NULL;
        if (copy != NULL && count > 0) memcpy(copy, data, (size_t)count);
        *length = (size_t)count;
    }
    BIO_free(text);
    return copy;
}

static inline int64_t copenssl_not_after(const X509 *certificate) {
    return copenssl_seconds(X509_get0_notAfter(certificate));
}

/* OPENSSL_free and strlen are a macro and the C library's. */
static inline void copenssl_free(void *memory) { OPENSSL_free(memory); }

static inline size_t copenssl_length(const char *text) { return strlen(text); }

static inline void copenssl_free_names(STACK_OF(X509_NAME) *names) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
}
