internal import Formats

/// How many of some texts a model completes as expected.
public struct CompletionResult: Codable, Sendable, Equatable {
    /// The share of them.
    public let exact: Double
    /// How many there are.
    public let items: Int

    /// What completions come to.
    init(_ completions: [Completion]) {
        items = completions.count
        exact = Double(completions.count(where: \.isExact)) / Double(items)
    }
}

/// What a model made of one text.
public struct Completion: Sendable, Equatable {
    /// Its line in the file, from 1.
    public let line: Int
    /// What should follow.
    public let expected: String
    /// What the model says: as many characters as are expected, without white space around them.
    public let text: String

    /// Whether it is what is expected, white space around both aside.
    public var isExact: Bool { text.unicodeScalars.elementsEqual(expected.trimmed.unicodeScalars) }

    /// The beginning of what was generated.
    init(_ item: CompletionItem, generated: String) {
        line = item.line
        expected = item.expected
        let count = item.expected.trimmed.unicodeScalars.count
        var text = String.UnicodeScalarView()
        text.append(contentsOf: generated.withoutLeadingSpace.unicodeScalars.prefix(count))
        self.text = String(text).withoutTrailingSpace
    }
}

/// A text and what should follow.
struct CompletionItem: Sendable, Equatable {
    let prompt: String
    let expected: String
    /// Its line in the file, from 1.
    let line: Int

    /// How much more than what is expected is generated, so that white space before it does not count.
    private static let roomForSpace = 8

    /// What is asked of the generator: the likeliest tokens, until there are as many characters, or the text ends.
    var request: GenerationPrompt {
        GenerationPrompt(prompt, characters: expected.trimmed.unicodeScalars.count + Self.roomForSpace)
    }

    /// The items of a file, one a line: `{"prompt": …, "expected": …}`.
    ///
    /// - Throws: ``UserFacingError`` that names the first line that is none.
    static func read(_ path: String) throws(UserFacingError) -> [CompletionItem] {
        var items: [CompletionItem] = []
        try JSONLines.forEach(in: path) { line, json throws(UserFacingError) in
            func bad(_ found: String) -> UserFacingError {
                .badCompletion(path: path, line: line, found: found)
            }
            guard json.object != nil else { throw bad("it is \(json.kind)") }
            func text(_ key: String) throws(UserFacingError) -> String {
                guard let value = json[key] else { throw bad("it has no \"\(key)\"") }
                guard let text = value.string else { throw bad("its \"\(key)\" is \(value.kind)") }
                return text
            }
            let (prompt, expected) = (try text("prompt"), try text("expected"))
            guard !expected.trimmed.isEmpty else { throw bad("its \"expected\" is empty") }
            items.append(CompletionItem(prompt: prompt, expected: expected, line: line))
        }
        guard !items.isEmpty else { throw .noCompletions(path: path) }
        return items
    }
}

extension String {
    /// The text without white space at its start.
    fileprivate var withoutLeadingSpace: String {
        String(unicodeScalars.drop { $0.properties.isWhitespace || (0x1C...0x1F).contains($0.value) })
    }

    /// The text without white space around it.
    fileprivate var trimmed: String { withoutLeadingSpace.withoutTrailingSpace }
}

// Why texts can't be completed.
extension UserFacingError {
    /// A line is no text to complete.
    static func badCompletion(path: String, line: Int, found: String) -> Self {
        Self(.malformed, "\(path), line \(line): \(found); expected {\"prompt\": \"…\", \"expected\": \"…\"}")
    }

    /// The file has no line.
    static func noCompletions(path: String) -> Self {
        Self(.missing, "\(path): no text to complete in it; give a file with at least one line")
    }
}
