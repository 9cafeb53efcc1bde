/// A value inside tokenizer.json that knows where it stands, so that what is wrong with it can be said.
struct TokenizerField {
    let file: String
    let path: String
    /// Nil where the file has nothing.
    let json: JSON?

    /// The member `key`; missing when there is none.
    subscript(key: String) -> TokenizerField {
        TokenizerField(file: file, path: path.isEmpty ? key : "\(path).\(key)", json: json?[key])
    }

    /// Whether the value is missing or null.
    var isAbsent: Bool { json?.isNull ?? true }

    /// The field itself, or nil when it is missing or null.
    var ifPresent: TokenizerField? { isAbsent ? nil : self }

    /// The error that this is not what was expected.
    func failure(_ expected: String) -> UserFacingError {
        .wrongField(file: file, path: path, found: json?.kind ?? "missing", expected: expected)
    }

    /// The error that this is of a kind that isn't supported.
    func unsupported(_ what: String) -> UserFacingError {
        .unsupportedField(file: file, path: path, what: what)
    }

    func string() throws(UserFacingError) -> String {
        guard let value = json?.string else { throw failure("a string") }
        return value
    }

    /// The bytes of a string that is not empty.
    func text() throws(UserFacingError) -> [UInt8] {
        let bytes = Array(try string().utf8)
        guard !bytes.isEmpty else { throw failure("a text that is not empty") }
        return bytes
    }

    func scalar() throws(UserFacingError) -> Unicode.Scalar {
        let scalars = try string().unicodeScalars
        guard let first = scalars.first, scalars.count == 1 else { throw failure("one character") }
        return first
    }

    func bool(default preset: Bool? = nil) throws(UserFacingError) -> Bool {
        if let preset, isAbsent { return preset }
        guard let value = json?.bool else { throw failure("true or false") }
        return value
    }

    func count(default preset: Int? = nil) throws(UserFacingError) -> Int {
        if let preset, isAbsent { return preset }
        guard let value = json?.int, value >= 0 else { throw failure("a whole number from 0") }
        return value
    }

    func id() throws(UserFacingError) -> Int32 {
        guard let value = json?.int, value >= 0, let id = Int32(exactly: value) else {
            throw failure("a token id (0 to \(Int32.max))")
        }
        return id
    }

    func object() throws(UserFacingError) -> JSONObject {
        guard let value = json?.object else { throw failure("an object") }
        return value
    }

    func elements() throws(UserFacingError) -> [TokenizerField] {
        guard let values = json?.array else { throw failure("an array") }
        return values.enumerated().map { index, value in
            TokenizerField(file: file, path: "\(path)[\(index)]", json: value)
        }
    }
}
