// Why a model's configuration is not one, or not one that can be worked with.
extension UserFacingError {
    /// A key has a value of another kind than it should.
    package static func wrongKind(file: String, key: String, found: String, expected: String) -> Self {
        Self(
            .malformed,
            "\(file): '\(key)' is \(found), and should be \(expected)")
    }

    /// A key is not there that has to be.
    package static func missingKey(file: String, key: String) -> Self {
        Self(
            .missing,
            "\(file) has no '\(key)', which is needed here")
    }
}
