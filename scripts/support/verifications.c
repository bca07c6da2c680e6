/*
 * The bare cost of checking a token's signature: SHA-256 over the signing input and OpenSSL's check,
 * with key and contexts set up once, as a proxy would at best. Tokens are taken in turn until the
 * time is up. Prints one line: REPORT {"requests": …, "failed": …, "nanoseconds": CPU time}
 *
 *   verifications SECONDS PUBLIC-KEY.pem TOKENS
 */
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct token {
    unsigned char *signed_bytes, *signature;
    size_t signed_count, signature_count;
};

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static size_t decode(const char *text, size_t count, unsigned char *bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0;
    size_t length = 0;
    int held = 0;
    for (size_t i = 0; i < count; i++) {
        const char *place = strchr(alphabet, text[i]);
        if (!place || !text[i])
            fail("not base64url");
        bits = bits << 6 | (unsigned)(place - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[length++] = (unsigned char)(bits >> held);
        }
    }
    return length;
}

/* JOSE's r and s, side by side, as OpenSSL takes them. */
static void to_der(struct token *token)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    size_t half = token->signature_count / 2;
    unsigned char *der = NULL;
    ECDSA_SIG_set0(pair, BN_bin2bn(token->signature, (int)half, NULL),
                   BN_bin2bn(token->signature + half, (int)half, NULL));
    token->signature_count = (size_t)i2d_ECDSA_SIG(pair, &der);
    token->signature = der;
    ECDSA_SIG_free(pair);
}

static struct token read_token(char *line, int is_ec)
{
    char *dot = strrchr(line, '.');
    struct token token;
    if (!dot)
        fail("no token");
    token.signed_bytes = (unsigned char *)strdup(line);
    token.signed_count = (size_t)(dot - line);
    token.signature = malloc(strlen(dot));
    token.signature_count = decode(dot + 1, strcspn(dot + 1, "\n"), token.signature);
    if (is_ec)
        to_der(&token);
    return token;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;
    if (!key)
        fail("no public key");
    fclose(file);
    return key;
}

int main(int count, char **arguments)
{
    if (count != 4)
        fail("verifications SECONDS PUBLIC-KEY.pem TOKENS");
    EVP_PKEY *key = read_key(arguments[2]);
    FILE *file = fopen(arguments[3], "r");
    struct token *tokens = NULL;
    size_t held = 0;
    char *line = NULL;
    size_t room = 0;
    if (!file)
        fail("no tokens");
    while (getline(&line, &room, file) > 0) {
        tokens = realloc(tokens, (held + 1) * sizeof *tokens);
        tokens[held++] = read_token(line, EVP_PKEY_is_a(key, "EC"));
    }
    EVP_MD *hash = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *digesting = EVP_MD_CTX_new();
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new(key, NULL);
    if (!held || EVP_PKEY_verify_init(check) != 1
        || EVP_PKEY_CTX_set_signature_md(check, hash) != 1)
        fail("no check");

    long done = 0, failed = 0;
    double end = now(CLOCK_MONOTONIC) + atof(arguments[1]);
    double before = now(CLOCK_PROCESS_CPUTIME_ID);
    while (now(CLOCK_MONOTONIC) < end)
        for (int i = 0; i < 100; i++, done++) {
            const struct token *token = &tokens[(size_t)done % held];
            unsigned char digest[EVP_MAX_MD_SIZE];
            unsigned length;
            EVP_DigestInit_ex2(digesting, hash, NULL);
            EVP_DigestUpdate(digesting, token->signed_bytes, token->signed_count);
            EVP_DigestFinal_ex(digesting, digest, &length);
            failed += EVP_PKEY_verify(check, token->signature, token->signature_count, digest,
                                      length) != 1;
        }
    printf("REPORT {\"requests\": %ld, \"failed\": %ld, \"nanoseconds\": %.0f}\n", done, failed,
           (now(CLOCK_PROCESS_CPUTIME_ID) - before) * 1e9);
    return 0;
}
