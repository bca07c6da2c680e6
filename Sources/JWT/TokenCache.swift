import Bytes

/// The present moment on both clocks: the wall clock judges `exp` and `nbf`, the monotonic one a
/// cache entry's age, so that a step of the wall clock cannot lengthen it.
package struct TokenTime: Sendable, Equatable {
    /// Seconds since 1970.
    package var wallSeconds: Int64
    /// Milliseconds of the monotonic clock.
    package var monotonicMilliseconds: Int64

    /// A moment.
    package init(wallSeconds: Int64, monotonicMilliseconds: Int64) {
        self.wallSeconds = wallSeconds
        self.monotonicMilliseconds = monotonicMilliseconds
    }
}

/// How much a token cache may hold, and how long.
package struct TokenCacheLimits: Sendable, Equatable {
    /// Most tokens; 0 switches the cache off.
    package var entries: Int
    /// Most bytes, by the estimate of what a token and its claims occupy.
    package var bytes: Int
    /// Most milliseconds from verification.
    package var maxAgeMilliseconds: Int64

    /// 10,000 tokens, 16 MiB, 5 minutes unless told otherwise.
    package init(
        entries: Int = 10_000, bytes: Int = 16 << 20, maxAgeMilliseconds: Int64 = 300_000
    ) {
        self.entries = entries
        self.bytes = bytes
        self.maxAgeMilliseconds = maxAgeMilliseconds
    }
}

/// A token's bytes as one number, under a cache's secret.
package struct TokenKey: Sendable, Equatable {
    let hash: UInt64
}

/// Tokens that one worker has verified, by their bytes.
///
/// Only verified tokens come in, so tokens that fail push nothing out. A keyed hash finds the
/// place, a comparison of all bytes decides. Eviction is CLOCK: an entry that was asked for since
/// the hand last came by gets a second round, so a run of tokens used once does not displace those
/// in use. Memory is taken as tokens come in: docs/decisions/0003-token-cache.md.
package final class TokenCache {
    // One value, so that a call checks once that nobody else is changing it.
    private var table: TokenTable
    /// Secret, so that nobody can aim at a bucket.
    private let seed: UInt64

    /// Tokens held.
    package var count: Int { table.count }
    /// Bytes they are taken to occupy.
    package var bytes: Int { table.bytes }

    /// An empty cache, which occupies next to nothing.
    package init(_ limits: TokenCacheLimits, seed: UInt64 = .random(in: .min ... .max)) {
        table = TokenTable(limits)
        self.seed = seed
    }

    /// What a token is found and kept by.
    package func key(of token: Span<UInt8>) -> TokenKey {
        TokenKey(hash: token.hash(seed: seed))
    }

    /// The verified token of these bytes, if `verifier` would still find it right: within its
    /// lifetime, its key still trusted, not older than the limit. The caller still has to look
    /// whether the route admits its issuer.
    package func find(
        _ token: Span<UInt8>, _ key: TokenKey, at time: TokenTime,
        trustedBy verifier: TokenVerifier
    ) -> VerifiedToken? {
        table.find(token, key.hash, at: time, trustedBy: verifier)
    }

    /// Keeps a token that was just verified, under the key of its bytes. One too large for the
    /// whole cache is not kept.
    package func insert(_ token: VerifiedToken, _ key: TokenKey, at time: TokenTime) {
        table.insert(token, key.hash, at: time)
    }

    /// Forgets everything and gives the memory back.
    package func removeAll() {
        table.removeAll()
    }
}
