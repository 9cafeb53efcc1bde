/// A JSON value that loses nothing which matters when a file is edited: the order of keys and the spelling
/// of numbers.
///
/// Strings and keys compare by their bytes, not by canonical equivalence as Swift's `String` does: a
/// vocabulary may hold a precomposed and a decomposed "é" as two tokens.
///
/// Source: RFC 8259.
public enum JSON: Sendable {
    /// The literal `null`.
    case null
    /// The literal `true` or `false`.
    case bool(Bool)
    /// A number as it was spelled.
    case number(JSONNumber)
    /// A string, its escapes resolved.
    case string(String)
    /// An array.
    case array([JSON])
    /// An object, its members in the order they were written.
    case object(JSONObject)
}

// MARK: - Looking inside

extension JSON {
    /// The string, when it is one.
    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The number as an integer, when it is a number spelled as an integer that fits.
    public var int: Int? {
        guard case .number(let value) = self else { return nil }
        return value.int
    }

    /// The number, when it is one.
    public var double: Double? {
        guard case .number(let value) = self else { return nil }
        return value.double
    }

    /// The truth value, when it is one.
    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The elements, when it is an array.
    public var array: [JSON]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    /// The members, when it is an object.
    public var object: JSONObject? {
        guard case .object(let value) = self else { return nil }
        return value
    }

    /// Whether it is the literal `null`.
    public var isNull: Bool {
        guard case .null = self else { return false }
        return true
    }

    /// What kind of value it is, as an error message would say it ("an array", "the number 12").
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): "the number \(value.text)"
        case .string(let value): "the string \"\(value.prefix(40))\(value.count > 40 ? "…" : "")\""
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The member called `key`, or nil when there is none or this is no object.
    ///
    /// Setting keeps the member's place, appends a new member, or with nil removes it; only an object can be
    /// set into.
    public subscript(key: String) -> JSON? {
        get {
            guard case .object(let members) = self else { return nil }
            return members[key]
        }
        set {
            guard case .object(var members) = self else {
                preconditionFailure("a member \"\(key)\" can only be set in an object, not in \(kind)")
            }
            self = .null  // so that `members` is the only reference and changes in place
            members[key] = newValue
            self = .object(members)
        }
    }

    /// The element at `index`, or nil when there is none or this is no array.
    public subscript(index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }
}

// MARK: - Equality

extension JSON: Hashable {
    /// Whether both are the same value, strings compared by their bytes and numbers by their spelling.
    public static func == (left: JSON, right: JSON) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): JSONKey(a) == JSONKey(b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }

    /// Whether both say the same, in whatever order objects have their members and however numbers are spelled.
    func saysSame(as other: JSON) -> Bool {
        switch (self, other) {
        case (.number(let a), .number(let b)):
            if let one = a.int, let two = b.int { one == two } else { a == b || a.double == b.double }
        case (.array(let a), .array(let b)):
            a.count == b.count && zip(a, b).allSatisfy { $0.saysSame(as: $1) }
        case (.object(let a), .object(let b)):
            a.count == b.count && a.allSatisfy { key, value in b[key].map(value.saysSame) == true }
        default: self == other
        }
    }

    /// Feeds the value to `hasher`.
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(JSONKey(value))
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value)
        }
    }
}

// MARK: - Writing values in code

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int) { self.init(value) }
    /// A number; `null` when it is not finite, which JSON can't write.
    public init(floatLiteral value: Double) { self.init(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// The literal `null`.
    public init(nilLiteral: ()) { self = .null }
    /// An array.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    /// An object, its members in the order given; of equal keys the last wins.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        var object = JSONObject()
        for (key, value) in elements { object[key] = .some(value) }
        self = .object(object)
    }

    /// An integer.
    public init(_ value: Int) { self = .number(JSONNumber(value)) }
    /// A number; `null` when it is not finite, which JSON can't write.
    public init(_ value: Double) { self = value.isFinite ? .number(JSONNumber(value)) : .null }
    /// A string.
    public init(_ value: String) { self = .string(value) }
}
