/* OpenSSL 3 for Swift. Functions here wrap macros that Swift cannot import, and parameter lists:
 * they keep pointers to their names, which Swift would hand over as temporary copies. */
#pragma once

#include "arithmetic.h"
#include "context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* Gives an HMAC context its key and hash ("SHA256" …). Returns 1 where OpenSSL took them. */
static inline int copenssl_hmac_init(
    EVP_MAC_CTX *context, const unsigned char *key, size_t length, const char *hash) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)hash, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_init(context, key, length, parameters);
}
