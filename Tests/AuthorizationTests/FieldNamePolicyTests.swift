import Authorization
import Testing

@Suite struct FieldNamePolicyTests {
    private let policy = FieldNamePolicy(removing: [
        "X-Tenant", "Remote-User", "X-JWT-*", "x_plan", "X-Forwarded-Prefix",
    ])

    @Test(
        arguments: [
            ("Accept", .keep), ("Cookie", .keep), ("X-Request-Id", .keep), ("Via", .keep),
            ("X-Tenants", .keep),
            ("X-Tenan", .keep), ("X", .keep), ("X-JWT", .keep), ("Remote-Users", .keep),
            ("_x", .keep),
            ("X-Tenant", .remove), ("x-tenant", .remove), ("X_TENANT", .remove),
            ("x.tenant", .remove),
            ("X_Tenant", .remove), ("remote_user", .remove), ("REMOTE.USER", .remove),
            ("X-Plan", .remove),
            ("x.plan", .remove), ("X-JWT-", .remove), ("x-jwt-sub", .remove),
            ("X_JWT_Claim.Sub", .remove),
            ("X-Forwarded-User", .remove), ("x_forwarded_user", .remove),
            ("x.forwarded.user", .remove),
            ("X-Forwarded-Uri", .remove), ("X-FORWARDED-", .remove), ("X-Forwarded_For", .remove),
            ("X_Forwarded_Host", .remove), ("X-Forwarded-Prefix", .remove),
            ("X-Forwarded-Server", .remove),
            ("X-Forwarded-For", .forwarding), ("x-forwarded-proto", .forwarding),
            ("Forwarded", .forwarding),
            ("X-Forwarded-Host", .forwarding), ("X-Forwarded-Port", .forwarding),
            ("FORWARDED", .forwarding),
            ("Authorization", .keep), ("Host", .keep), ("Connection", .keep),
            ("content-length", .keep),
            ("Transfer-Encoding", .keep), ("Content-Type", .keep), ("Transfer-Encodin", .keep),
            ("Content_Length", .refuse), ("content.length", .refuse),
            ("Transfer_Encoding", .refuse),
            ("TRANSFER.ENCODING", .refuse), ("transfer_encoding", .refuse), ("", .refuse),
            ("\u{e9}x", .refuse),
        ] as [(String, FieldVerdict)])
    func namesAreJudgedWithoutCaseAndSeparators(name: String, verdict: FieldVerdict) {
        #expect(policy.verdict(on: name.utf8Span.span) == verdict)
    }
}
