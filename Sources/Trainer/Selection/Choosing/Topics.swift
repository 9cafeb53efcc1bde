internal import Formats

/// The topics of documents, in the order in which they were met.
struct Topics {
    private(set) var names: [String] = []
    private var numbers: [String: Int] = [:]

    /// The most of them.
    static let most = 65_535
    /// What documents without a topic are called.
    static let none = "(none)"

    /// The number of a topic, given what stands for it in a document: a text, a number or a truth value; else it has none.
    mutating func number(of value: JSON?) throws(UserFacingError) -> Int {
        switch value {
        case .string(let text): try number(of: text)
        case .number(let number): try self.number(of: number.text)
        case .bool(let truth): try number(of: truth ? "true" : "false")
        default: try number(of: Self.none)
        }
    }

    /// The number of a topic by its name.
    mutating func number(of name: String) throws(UserFacingError) -> Int {
        if let number = numbers[name] { return number }
        guard names.count < Self.most else { throw .tooManyTopics(name) }
        numbers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    /// As a part's file has it.
    var json: JSON { .array(names.map { .string($0) }) }
}

extension UserFacingError {
    /// A key with a value a document is no topic.
    fileprivate static func tooManyTopics(_ name: String) -> Self {
        Self(
            .unsupported,
            "more than \(Topics.most) topics, '\(name)' among them: --topic-field names a key whose values many documents share"
        )
    }
}
