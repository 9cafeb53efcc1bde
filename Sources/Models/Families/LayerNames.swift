internal import Formats

/// How a model calls the tensors of its layers: a prefix, the layer's number, and the rest.
///
/// `model.layers.12.mlp.up_proj.weight` is layer 12's `mlp.up_proj.weight` under the prefix `model.layers.`
public struct LayerNames: Sendable, Equatable {
    /// How the number stands in a name.
    public enum Style: Sendable, Equatable {
        /// As a part of its own, `model.layers.12.`, as Hugging Face has it.
        case dotted
        /// Behind a part's name, and left out for 0, `layers/decoder/` and `layers/decoder_1/`, as Keras 3 counts the
        /// objects of a class.
        case counted
        /// Behind a part's name, `h_._12/` and `block_12/`, as Hugging Face's TensorFlow models have it, and Keras where
        /// layers are named by hand.
        case numbered
    }

    /// What stands before the layer's number, ending in a dot (or empty) where the number is a part of its own.
    public let prefix: String
    /// How the number stands in a name.
    public let style: Style
    /// Whether the layer's name stands there twice, `block_1/block_1/`: as Keras 2's layer and again in its weights.
    public let isTwice: Bool

    /// Names that begin with `prefix`.
    public init(prefix: String, style: Style = .dotted, isTwice: Bool = false) {
        self.prefix = prefix
        self.style = style
        self.isTwice = isTwice
    }

    /// The layer and the rest of a tensor's name; nil when the tensor belongs to no layer.
    public func parse(_ name: String) -> (layer: Int, rest: Substring)? {
        guard name.hasPrefix(prefix) else { return nil }
        switch style {
        case .dotted:
            guard let split = Self.split(name), split.prefix == prefix else { return nil }
            return (split.number, split.rest)
        case .counted, .numbered:
            guard let (layer, rest) = parsePath(name) else { return nil }
            if !isTwice { return (layer, rest) }
            let again = label(of: layer) + "/"
            return rest.hasPrefix(again) ? (layer, rest.dropFirst(again.count)) : nil
        }
    }

    /// The layer and what stands behind its first mention in a path; nil when the path belongs to no layer.
    package func parsePath(_ path: String) -> (layer: Int, rest: Substring)? {
        guard path.hasPrefix(prefix) else { return nil }
        let rest = path.dropFirst(prefix.count)
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        let counter = rest[..<slash]
        let inner = rest[rest.index(after: slash)...]
        if style == .numbered { return Self.number(counter).map { ($0, inner) } }
        if counter.isEmpty { return (0, inner) }
        guard counter.first == "_", let number = Self.number(counter.dropFirst()), number > 0 else {
            return nil
        }
        return (number, inner)
    }

    /// A path inside a layer's first mention, with its second one that of another layer.
    package func renamed(_ rest: Substring, from origin: Int, to layer: Int) -> String {
        let again = label(of: origin)
        guard isTwice, rest == again || rest.hasPrefix(again + "/") else { return String(rest) }
        return label(of: layer) + rest.dropFirst(again.count)
    }

    /// The name of a layer's tensor.
    public func name(layer: Int, rest: some StringProtocol) -> String {
        let again = isTwice ? label(of: layer) + "/" : ""
        return "\(title(of: layer))\(style == .dotted ? "." : "/")\(again)\(rest)"
    }

    /// The last part of a layer's path.
    private func label(of layer: Int) -> String { Path.name(title(of: layer)) }

    /// What the names of a layer's tensors begin with, as in `model.layers.12`.
    public func title(of layer: Int) -> String {
        style == .counted ? layer == 0 ? prefix : "\(prefix)_\(layer)" : "\(prefix)\(layer)"
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

        /// So many layers of these names.
        public init(names: LayerNames, count: Int) {
            self.names = names
            self.count = count
        }
    }

    /// The sets of layers that tensor names show, in the order they first come.
    ///
    /// A set is every number that follows the same prefix, when they are 0, 1, … without a gap.
    /// Numbers after the first one in a name, as experts have, make no sets.
    public static func groups(in names: some Sequence<String>) -> [Group] {
        var prefixes: [Substring] = []
        var numbers: [Substring: Set<Int>] = [:]
        var paths: [String] = []
        for name in names {
            if name.contains("/") { paths.append(name) }
            guard let split = split(name) else { continue }
            if numbers[split.prefix] == nil { prefixes.append(split.prefix) }
            numbers[split.prefix, default: []].insert(split.number)
        }
        let dotted = prefixes.compactMap { prefix -> Group? in
            guard let found = numbers[prefix], found.max() == found.count - 1 else { return nil }
            return Group(names: LayerNames(prefix: String(prefix)), count: found.count)
        }
        return dotted + groups(inPaths: paths)
    }

    /// Sets of numbered modules of which some are missing: what stands before their numbers, and the numbers.
    package static func incompleteGroups(
        in names: some Sequence<String>
    ) -> [(prefix: String, numbers: [Int])] {
        var prefixes: [Substring] = []
        var numbers: [Substring: Set<Int>] = [:]
        for name in names {
            guard let split = split(name) else { continue }
            if numbers[split.prefix] == nil { prefixes.append(split.prefix) }
            numbers[split.prefix, default: []].insert(split.number)
        }
        return prefixes.compactMap { prefix in
            guard let found = numbers[prefix], found.max() != found.count - 1 else { return nil }
            return (String(prefix), found.sorted())
        }
    }

    /// The sets of layers that paths show, the outermost where sets lie inside each other.
    ///
    /// Two or more are a set: anything in a path could be the first of its class.
    private static func groups(inPaths paths: [String]) -> [Group] {
        var found: [LayerNames] = []
        var numbers: [String: Set<Int>] = [:]
        var once: Set<String> = []
        for path in paths {
            var parent = ""
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            for (part, next) in zip(parts, parts.dropFirst()) {
                for (names, number) in layers(part, in: parent) {
                    if numbers[names.prefix] == nil { found.append(names) }
                    numbers[names.prefix, default: []].insert(number)
                    if part != next { once.insert(names.prefix) }
                }
                parent += part + "/"
            }
        }
        let groups = found.compactMap { names -> Group? in
            guard let set = numbers[names.prefix], set.count > 1, set.max() == set.count - 1 else {
                return nil
            }
            let isTwice = !once.contains(names.prefix)
            return Group(
                names: LayerNames(prefix: names.prefix, style: names.style, isTwice: isTwice),
                count: set.count)
        }
        return groups.filter { inner in
            !groups.contains { $0.names != inner.names && $0.names.parse(inner.names.prefix + "/") != nil }
        }
    }

    /// What sets a part of a path may be a member of, and which.
    private static func layers(_ part: Substring, in parent: String) -> [(LayerNames, Int)] {
        var layers: [(LayerNames, Int)] = []
        if let line = part.lastIndex(of: "_"), let number = number(part[part.index(after: line)...]) {
            layers.append((LayerNames(prefix: parent + part[...line], style: .numbered), number))
            if number > 0 {
                layers.append((LayerNames(prefix: parent + part[..<line], style: .counted), number))
                return layers
            }
        }
        if part != "vars" { layers.append((LayerNames(prefix: parent + part, style: .counted), 0)) }
        return layers
    }
}
