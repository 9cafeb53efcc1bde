internal import Glibc
private import OrderedCollections

/// The members of a JSON object, in the order they were written.
public struct JSONObject: Sendable, Hashable {
    private var members: OrderedDictionary<JSONKey, JSON>

    /// An object without members.
    public init() { members = [:] }

    /// The number of members.
    public var count: Int { members.count }

    /// Whether there are no members.
    public var isEmpty: Bool { members.isEmpty }

    /// The keys, in order.
    public var keys: [String] { members.keys.map(\.string) }

    /// The values, in order.
    public var values: [JSON] { Array(members.values) }

    /// The value of the member called `key`.
    ///
    /// Setting keeps the member's place, appends a new member, or with nil removes it.
    public subscript(key: String) -> JSON? {
        get { members[JSONKey(key)] }
        set {
            // Not through OrderedDictionary's own optional subscript: `.some(.null)` is a value.
            if let newValue {
                members.updateValue(newValue, forKey: JSONKey(key))
            } else {
                members.removeValue(forKey: JSONKey(key))
            }
        }
    }

    /// Sets a member; what was there under that name.
    mutating func replace(_ key: String, with value: JSON) -> JSON? {
        members.updateValue(value, forKey: JSONKey(key))
    }

    /// Puts a member where `index` says, moving the later ones; a member of that name is moved there.
    public mutating func insert(_ key: String, _ value: JSON, at index: Int) {
        members.removeValue(forKey: JSONKey(key))
        members.updateValue(value, forKey: JSONKey(key), insertingAt: Swift.min(index, members.count))
    }
}

extension JSONObject: Sequence {
    /// A member: its key and its value.
    public typealias Element = (key: String, value: JSON)

    /// The members, in order.
    public struct Iterator: IteratorProtocol {
        private var remaining: OrderedDictionary<JSONKey, JSON>.Iterator

        fileprivate init(_ members: OrderedDictionary<JSONKey, JSON>) { remaining = members.makeIterator() }

        /// The next member.
        public mutating func next() -> Element? {
            remaining.next().map { (key: $0.key.string, value: $0.value) }
        }
    }

    /// Walks the members in order.
    public func makeIterator() -> Iterator { Iterator(members) }

    /// The number of members.
    public var underestimatedCount: Int { count }
}

/// A string that compares and hashes by its UTF-8 bytes.
struct JSONKey: Sendable, Hashable {
    let string: String

    init(_ string: String) { self.string = string }

    static func == (left: JSONKey, right: JSONKey) -> Bool {
        let (first, second) = (left.string.utf8.span, right.string.utf8.span)
        guard first.count == second.count else { return false }
        return unsafe first.bytes.withUnsafeBytes { one in
            unsafe second.bytes.withUnsafeBytes { other in
                guard let start = one.baseAddress, let compared = other.baseAddress else { return true }
                return unsafe memcmp(start, compared, one.count) == 0
            }
        }
    }

    func hash(into hasher: inout Hasher) {
        let utf8 = string.utf8.span
        unsafe utf8.bytes.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object of these members, in order.
    public init(dictionaryLiteral members: (String, JSON)...) {
        self.init()
        for (key, value) in members { self[key] = value }
    }
}
