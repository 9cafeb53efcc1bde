internal import Foundation
internal import Yams

/// A value of a YAML file, with the line that it stands on.
///
/// Plain words are what YAML 1.2's core schema makes of them. Words that YAML 1.1 and 1.2 read differently (`yes`, `010`),
/// tags, merge keys and aliases that multiply are refused by name, since nobody can tell what was meant.
public struct YAMLNode: Sendable {
    /// What it is.
    public enum Content: Sendable {
        /// Values by their keys, in order.
        case mapping([Entry])
        /// Values in order.
        case list([YAMLNode])
        /// A string, a number, a truth value or null.
        case scalar(JSON)
    }

    /// A key and its value.
    public struct Entry: Sendable {
        /// The key.
        public let key: String
        /// The line that the key stands on.
        public let line: Int
        /// The value.
        public let value: YAMLNode
    }

    /// What it is.
    public let content: Content
    /// The line of its first character, from 1.
    public let line: Int

    /// The same as a JSON value.
    public var json: JSON {
        switch content {
        case .scalar(let value): value
        case .list(let values): .array(values.map(\.json))
        case .mapping(let entries):
            .object(entries.reduce(into: JSONObject()) { $0[$1.key] = $1.value.json })
        }
    }

    /// The entries; nil unless it is a mapping.
    public var entries: [Entry]? { if case .mapping(let entries) = content { entries } else { nil } }

    /// The values; nil unless it is a list.
    public var list: [YAMLNode]? { if case .list(let values) = content { values } else { nil } }

    /// The value of a key; nil when there is none, or it is no mapping.
    public subscript(key: String) -> YAMLNode? { entries?.first { $0.key == key }?.value }

    /// What it is, for messages.
    public var kind: String {
        switch content {
        case .mapping: "a mapping"
        case .list: "a list"
        case .scalar(let value): value.kind
        }
    }
}

// MARK: - Reading

extension YAMLNode {
    /// Reads a file of one document.
    ///
    /// - Throws: ``UserFacingError`` that names the line.
    public static func read(path: String) throws(UserFacingError) -> YAMLNode {
        let bytes = try InputFile(path: path).bytes()
        let invalid = firstInvalid(bytes)
        guard invalid == bytes.count else {
            throw .malformedYAML(path, 1 + bytes[..<invalid].count { $0 == 0x0A }, "it is not valid UTF-8")
        }
        return try YAMLNode(parsing: String(decoding: bytes, as: UTF8.self), file: path)
    }

    /// Reads a text of one document.
    ///
    /// - Throws: ``UserFacingError`` that names the line.
    public init(parsing text: String, file: String) throws(UserFacingError) {
        let root: Node?
        do { root = try compose(yaml: text) } catch let error as YamlError {
            throw .yaml(error, file)
        } catch {
            throw .malformedYAML(file, 1, "\(error)")
        }
        guard let root else { throw .malformedYAML(file, 1, "there is nothing in it") }
        var reader = YAMLReader(file: file)
        self = try reader.value(root)
    }
}

/// Makes values of what the parser has found.
private struct YAMLReader {
    let file: String
    /// How many values may still be made: an alias makes all of its own again.
    var room = 20_000

    mutating func value(_ node: Node) throws(UserFacingError) -> YAMLNode {
        let line = node.mark?.line ?? 1
        room -= 1
        guard room >= 0 else {
            throw .malformedYAML(
                file, line, "its aliases multiply to more than 20,000 values; write them out")
        }
        switch node {
        case .scalar(let scalar):
            return YAMLNode(content: .scalar(try self.scalar(scalar, line)), line: line)
        case .sequence(let sequence):
            try check(sequence.tag, line)
            var values: [YAMLNode] = []
            for element in sequence { values.append(try value(element)) }
            return YAMLNode(content: .list(values), line: line)
        case .mapping(let mapping):
            try check(mapping.tag, line)
            var entries: [YAMLNode.Entry] = []
            for (key, inner) in mapping {
                guard case .scalar(let name) = key else {
                    throw .malformedYAML(file, key.mark?.line ?? line, "a key must be a word")
                }
                let place = key.mark?.line ?? line
                if name.string == "<<" {
                    throw .malformedYAML(file, place, "merge keys ('<<') are not read; write the keys out")
                }
                entries.append(.init(key: name.string, line: place, value: try value(inner)))
            }
            return YAMLNode(content: .mapping(entries), line: line)
        case .alias: throw .malformedYAML(file, line, "an alias leads nowhere")
        }
    }

    private func check(_ tag: Tag, _ line: Int) throws(UserFacingError) {
        let own = ["", "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "tag:yaml.org,2002:str"]
        guard own.contains("\(tag)") else {
            throw .malformedYAML(file, line, "the tag \(tag) is not read; leave it out")
        }
    }

    private func scalar(_ scalar: Node.Scalar, _ line: Int) throws(UserFacingError) -> JSON {
        try check(scalar.tag, line)
        let text = scalar.string
        guard scalar.style == .plain || scalar.style == .any else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default: break
        }
        if ["yes", "no", "on", "off", "y", "n"].contains(text.lowercased()) {
            throw .malformedYAML(
                file, line,
                "'\(text)' is a truth value to some and a word to others; write true, false, or quotes around it"
            )
        }
        if text.wholeMatch(of: /[-+]?0[0-9_]+/) != nil {
            throw .malformedYAML(
                file, line,
                "'\(text)' is a number of base eight to some; write it without the zero, or in quotes")
        }
        if text.wholeMatch(of: /[-+]?[0-9][0-9_]*/) != nil,
            let number = Int(text.filter { $0 != "_" && $0 != "+" })
        {
            return JSON(number)
        }
        let isNumber = text.wholeMatch(of: /[-+]?([0-9][0-9_]*)?(\.[0-9_]*)?([eE][-+]?[0-9]+)?/) != nil
        if isNumber, text.contains(where: \.isNumber), let number = Double(text.filter { $0 != "_" }),
            number.isFinite
        {
            return JSON(number)
        }
        return .string(text)
    }
}

extension UserFacingError {
    /// A line of a YAML file can't be read.
    package static func malformedYAML(_ file: String, _ line: Int, _ reason: String) -> Self {
        Self(.malformed, "\(file), line \(line): \(reason)")
    }

    fileprivate static func yaml(_ error: YamlError, _ file: String) -> Self {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            let hint = problem.contains("cannot start any token") ? "; indent with spaces, not with tabs" : ""
            return .malformedYAML(file, mark.line, "column \(mark.column): \(problem)\(hint)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            return .malformedYAML(
                file, context.mark.line,
                "\(duplicates.joined(separator: ", ")) stands twice; remove one of the two")
        case .reader(let problem, _, _, _): return .malformedYAML(file, 1, problem)
        default: return .malformedYAML(file, 1, "\(error)")
        }
    }
}
