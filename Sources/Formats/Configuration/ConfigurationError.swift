/// Why a model's configuration is not one, or not one that can be worked with.
public enum ConfigurationError: UserFacingError, Equatable {
    /// The file is no JSON.
    case json(JSONError)
    /// A key has a value of another kind than it should.
    case kind(file: String, key: String, found: String, expected: String)
    /// A key is not there that has to be.
    case missing(file: String, key: String)

    /// One sentence with file, key and value.
    public var description: String {
        switch self {
        case .json(let error): error.description
        case .kind(let file, let key, let found, let expected):
            "\(file): '\(key)' is \(found), and should be \(expected)"
        case .missing(let file, let key): "\(file) has no '\(key)', which is needed here"
        }
    }

    /// The input is at fault.
    public var fault: Fault { .input }
}
