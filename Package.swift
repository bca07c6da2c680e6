// swift-tools-version: 6.3
//
// The build graph is the architecture: a module may use only what stands above it in this list.
// docs/architecture.md tells the same story in prose; TidyTests compares the two.

import PackageDescription

/// How every target is compiled: Swift 6, the upcoming language features, strict memory safety,
/// and no warning let through.
let houseRules: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")

func module(_ name: String, uses dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: houseRules)
}

func tests(of name: String, alsoUsing dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.init(stringLiteral: name)] + dependencies,
        swiftSettings: houseRules)
}

let package = Package(
    name: "bearward",
    products: [.executable(name: "bearward", targets: ["bearward"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // epoll, eventfd, signalfd and accept4, which the Glibc module does not show to Swift.
        .target(name: "CLinux"),
        // OpenSSL's libcrypto and libssl: the module map and `static inline` shims over macros.
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        // libnghttp2: the module map and `static inline` shims over its frame union.
        .systemLibrary(
            name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),

        // The one owning buffer, ranges into it, scanners and ASCII tables.
        module("Bytes"),
        // A strict, bounded JSON reader and a writer.
        module("JSON", uses: ["Bytes"]),
        // Messages and the HTTP/1.1 wire format; no I/O.
        module("HTTP", uses: ["Bytes"]),
        // Readiness, sockets, deadlines, wake-ups; knows no protocol.
        module("EventLoop", uses: ["CLinux", "Bytes"]),
        // TLS sessions and signature checks as Swift values.
        module("OpenSSL", uses: ["COpenSSL", "Bytes"]),
        // One nghttp2 session as Swift; fed and drained as bytes.
        module("HTTP2", uses: ["CNghttp2", "HTTP", "Bytes"]),
        // From a bearer token to verified claims.
        module("JWT", uses: ["JSON", "OpenSSL", "Bytes"]),
        // When to fetch key sets and what to keep: state machines over time, no I/O.
        module("Keys", uses: ["JSON", "HTTP", "OpenSSL", "JWT", "Bytes"]),
        // Which route, which claims and scopes; allowed, or refused and why.
        module("Authorization", uses: ["HTTP", "JWT", "JSON", "Bytes"]),
        // proxy.json to one immutable value, or every problem found.
        module(
            "Configuration",
            uses: ["JSON", "HTTP", "OpenSSL", "JWT", "Keys", "Authorization", "Bytes"]),
        // The access-log line and the reason codes; no I/O.
        module("Telemetry", uses: ["JSON", "HTTP", "Bytes"]),
        // Connections, upstream pools, exchanges: where it all meets.
        module(
            "Gateway",
            uses: [
                "CLinux", "Bytes", "JSON", "HTTP", "EventLoop", "OpenSSL", "HTTP2", "JWT",
                "Keys", "Authorization", "Configuration", "Telemetry", log,
            ]),
        // The command line.
        .executableTarget(
            name: "bearward", dependencies: ["Configuration", "Gateway", log, argumentParser],
            swiftSettings: houseRules,
            // One file that runs wherever OpenSSL and nghttp2 are, and calls into Swift's library
            // that cost less: docs/decisions/0011-swift-linked-in.md.
            linkerSettings: [
                .unsafeFlags(
                    ["-static-stdlib", "-l_FoundationCShims", "-l_FoundationCollections"],
                    .when(configuration: .release))
            ]),

        tests(of: "Bytes"),
        tests(of: "JSON", alsoUsing: ["Bytes"]),
        tests(of: "HTTP", alsoUsing: ["Bytes"]),
        tests(of: "EventLoop", alsoUsing: ["CLinux", "Bytes"]),
        tests(of: "OpenSSL", alsoUsing: ["COpenSSL", "Bytes"]),
        tests(of: "HTTP2", alsoUsing: ["HTTP", "Bytes"]),
        tests(of: "JWT", alsoUsing: ["JSON", "OpenSSL", "Bytes"]),
        tests(of: "Keys", alsoUsing: ["JSON", "HTTP", "OpenSSL", "JWT", "Bytes"]),
        tests(of: "Authorization", alsoUsing: ["HTTP", "OpenSSL", "JWT", "JSON", "Bytes"]),
        tests(
            of: "Configuration",
            alsoUsing: ["JSON", "HTTP", "OpenSSL", "JWT", "Keys", "Authorization", "Bytes"]),
        tests(of: "Telemetry", alsoUsing: ["JSON", "HTTP", "Bytes"]),
        tests(
            of: "Gateway",
            alsoUsing: [
                "CLinux", "Bytes", "JSON", "HTTP", "EventLoop", "OpenSSL", "HTTP2", "JWT",
                "Keys", "Authorization", "Configuration", "Telemetry", log,
            ]),
        .testTarget(name: "TidyTests", swiftSettings: houseRules),
    ],
    swiftLanguageModes: [.v6]
)
