/*
 * What a signature check consists of in OpenSSL, in microseconds of CPU time: its own check of RS256
 * and ES256, and the arithmetic that no check can do without. Prints one line for each.
 *
 *   signature_parts ROUNDS
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rounds;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void require(int is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "OpenSSL refused: %s\n", what);
    exit(1);
}

#define MEASURE(label, expression)                                        \
    do {                                                                  \
        double start = now();                                             \
        for (int i = 0; i < rounds; i++)                                  \
            require(expression, label);                                   \
        printf("%-58s %9.2f\n", label, (now() - start) / rounds);         \
    } while (0)

/* A context that checks signatures of this key, and one signature. */
static EVP_PKEY_CTX *prepare(EVP_PKEY *key, unsigned char *signature, size_t *length,
                             const unsigned char *digest)
{
    EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new(key, NULL), *check = EVP_PKEY_CTX_new(key, NULL);
    require(EVP_PKEY_sign_init(sign) == 1
                && EVP_PKEY_CTX_set_signature_md(sign, EVP_sha256()) == 1
                && EVP_PKEY_sign(sign, signature, length, digest, 32) == 1
                && EVP_PKEY_verify_init(check) == 1
                && EVP_PKEY_CTX_set_signature_md(check, EVP_sha256()) == 1, "a signature");
    EVP_PKEY_CTX_free(sign);
    return check;
}

static void rsa(const unsigned char *digest)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    unsigned char signature[256];
    size_t length = sizeof signature;
    EVP_PKEY_CTX *check = prepare(key, signature, &length, digest);
    BN_CTX *scratch = BN_CTX_new();
    BN_MONT_CTX *context = BN_MONT_CTX_new();
    BIGNUM *n = NULL, *number = BN_new(), *power = BN_new();
    require(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1
                && BN_MONT_CTX_set(context, n, scratch) == 1
                && BN_bin2bn(signature, (int)length, number) != NULL
                && BN_to_montgomery(power, number, context, scratch) == 1, "an RSA key");
    MEASURE("RS256, 2048 bits: EVP_PKEY_verify",
            EVP_PKEY_verify(check, signature, length, digest, 32) == 1);
    MEASURE("modulo 2048 bits: one Montgomery square (65537: 16)",
            BN_mod_mul_montgomery(power, power, power, context, scratch) == 1);
    MEASURE("modulo 2048 bits: one Montgomery product (2 at least)",
            BN_mod_mul_montgomery(power, power, number, context, scratch) == 1);
}

static void ec(const unsigned char *digest)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    unsigned char signature[80], octets[65];
    size_t length = sizeof signature, count = 0;
    EVP_PKEY_CTX *check = prepare(key, signature, &length, digest);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_GROUP *tabled = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = EC_POINT_new(group), *product = EC_POINT_new(group);
    BN_CTX *scratch = BN_CTX_new();
    BN_MONT_CTX *context = BN_MONT_CTX_new();
    const BIGNUM *order = EC_GROUP_get0_order(group);
    BIGNUM *factor = BN_new(), *inverting = BN_dup(order), *x = BN_new();
    require(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof octets,
                                            &count) == 1
                && EC_POINT_oct2point(group, point, octets, count, scratch) == 1
                && BN_MONT_CTX_set(context, order, scratch) == 1
                && BN_sub_word(inverting, 2) == 1 && BN_priv_rand_range(factor, order) == 1,
            "an EC key");
    MEASURE("ES256: EVP_PKEY_verify",
            EVP_PKEY_verify(check, signature, length, digest, 32) == 1);
    MEASURE("P-256: a multiple of the public point",
            EC_POINT_mul(group, product, NULL, point, factor, scratch) == 1);
    double start = now();
    require(EC_GROUP_set_generator(tabled, point, order, BN_value_one()) == 1
                && EC_GROUP_precompute_mult(tabled, scratch) == 1, "a table");
    printf("%-58s %9.2f\n", "P-256: a table of the public point's multiples", now() - start);
    MEASURE("P-256: a multiple of the public point from its table",
            EC_POINT_mul(tabled, product, factor, NULL, NULL, scratch) == 1);
    MEASURE("P-256: a multiple of the generator",
            EC_POINT_mul(group, product, factor, NULL, NULL, scratch) == 1);
    MEASURE("P-256: an inverse modulo the order, as a power",
            BN_mod_exp_mont(x, factor, inverting, order, scratch, context) == 1);
    MEASURE("P-256: a sum of two points",
            EC_POINT_add(group, product, product, point, scratch) == 1);
    MEASURE("P-256: x of a point",
            EC_POINT_get_affine_coordinates(group, product, x, NULL, scratch) == 1);
}

int main(int count, char **arguments)
{
    unsigned char digest[32];
    rounds = count == 2 ? atoi(arguments[1]) : 0;
    if (rounds < 1) {
        fprintf(stderr, "signature_parts ROUNDS\n");
        return 1;
    }
    memset(digest, 7, sizeof digest);
    rsa(digest);
    ec(digest);
    return 0;
}
