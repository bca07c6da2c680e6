// Signature checks as Swift values.
