/// How a model calls the tensors of its layers: a prefix, the layer's number, and the rest.
///
/// `model.layers.12.mlp.up_proj.weight` is layer 12's `mlp.up_proj.weight` under the prefix `model.layers.`
public struct LayerNames: Sendable, Equatable {
    /// What stands before the layer's number, ending in a dot (or empty).
    public let prefix: String

    /// Names that begin with `prefix`.
    public init(prefix: String) {
        self.prefix = prefix
    }

    /// The layer and the rest of a tensor's name; nil when the tensor belongs to no layer.
    public func parse(_ name: String) -> (layer: Int, rest: Substring)? {
        guard name.hasPrefix(prefix), let split = Self.split(name), split.prefix == prefix else { return nil }
        return (split.number, split.rest)
    }

    /// The name of a layer's tensor.
    public func name(layer: Int, rest: some StringProtocol) -> String {
        "\(prefix)\(layer).\(rest)"
    }

    /// The first component of a name that is a number, and what stands before and after it.
    private static func split(_ name: String) -> (prefix: Substring, number: Int, rest: Substring)? {
        var start = name.startIndex
        while let dot = name[start...].firstIndex(of: ".") {
            let component = name[start..<dot]
            if let number = number(component) {
                return (name[..<start], number, name[name.index(after: dot)...])
            }
            start = name.index(after: dot)
        }
        return nil
    }

    /// The number as it is written in names: digits, without a sign or leading zeros.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }),
            text == "0" || text.first != "0"
        else { return nil }
        return Int(text)
    }
}

extension LayerNames {
    /// A set of layers that tensor names show.
    public struct Group: Sendable, Equatable {
        /// How the layers' tensors are called.
        public let names: LayerNames
        /// How many layers there are, from 0 without a gap.
        public let count: Int
    }

    /// The sets of layers that tensor names show, in the order they first come.
    ///
    /// A set is every number that follows the same prefix, when they are 0, 1, … without a gap.
    /// Numbers after the first one in a name, as experts have, make no sets.
    public static func groups(in names: some Sequence<String>) -> [Group] {
        var prefixes: [Substring] = []
        var numbers: [Substring: Set<Int>] = [:]
        for name in names {
            guard let split = split(name) else { continue }
            if numbers[split.prefix] == nil { prefixes.append(split.prefix) }
            numbers[split.prefix, default: []].insert(split.number)
        }
        return prefixes.compactMap { prefix in
            guard let found = numbers[prefix], found.max() == found.count - 1 else { return nil }
            return Group(names: LayerNames(prefix: String(prefix)), count: found.count)
        }
    }
}
