/* OpenSSL 3 for Swift. Functions here wrap macros that Swift cannot import. */
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
