/* What OpenSSL calls deprecated and has no successor for: tables of a point's multiples. */
#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"

/* Puts `point` in the place of the group's generator and computes its multiples. Returns 1 if the
 * group has them; 0 where this OpenSSL makes no tables. */
static inline int copenssl_tabulate(EC_GROUP *group, const EC_POINT *point) {
#if !defined(OPENSSL_NO_DEPRECATED_3_0) && OPENSSL_VERSION_MAJOR < 4
    BIGNUM *order = BN_dup(EC_GROUP_get0_order(group));
    int done = order != NULL && EC_GROUP_set_generator(group, point, order, BN_value_one()) == 1
        && EC_GROUP_precompute_mult(group, NULL) == 1 && EC_GROUP_have_precompute_mult(group) == 1;
    BN_free(order);
    return done;
#else
    (void)group, (void)point;
    return 0;
#endif
}

#pragma clang diagnostic pop
