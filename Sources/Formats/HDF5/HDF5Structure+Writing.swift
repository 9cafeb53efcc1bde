import OrderedCollections

extension HDF5Structure {
    /// The groups that a file of some of the model's tensors has: those with attributes on the way to them, and in the
    /// first file those that lead to none.
    func groups(
        for names: [String], isFirst: Bool, of all: some Sequence<String>
    ) -> OrderedDictionary<String, [HDF5Attribute]> {
        let own = Set(names.flatMap { Self.ancestors(of: prefix + $0) })
        guard isFirst else { return groups.filter { own.contains($0.key) } }
        let others = Set(all.flatMap { Self.ancestors(of: prefix + $0) }).subtracting(own)
        return groups.filter { !others.contains($0.key) }
    }

    /// The same with the lists that Keras 1 and 2 read saying what there is.
    func listing(_ names: some Sequence<String>) -> HDF5Structure {
        guard layout == .keras2 else { return self }
        var weights: OrderedDictionary<String, [String]> = [:]
        let layers = groups.filter { $0.value.strings("weight_names") != nil }.keys
            .compactMap { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
        for layer in layers { weights[layer] = [] }
        for name in names {
            let layer =
                Self.ancestors(of: name).last { weights[$0] != nil }
                ?? Self.ancestors(of: name).dropFirst().first
            guard let layer else { continue }
            weights[layer, default: []].append(String(name.dropFirst(layer.count + 1)))
        }
        var result = self
        for (layer, list) in weights { result.set("weight_names", list, of: prefix + layer) }
        // A list that says the same in whatever order is left as it is.
        let root = prefix.isEmpty ? "" : String(prefix.dropLast())
        if Set(result.groups[root]?.strings("layer_names") ?? []) != Set(weights.keys) {
            result.set("layer_names", Array(weights.keys), of: root)
        }
        return result
    }

    /// The most bytes of an attribute that Keras writes in one piece.
    private static let largestList = 64_512

    private mutating func set(_ name: String, _ list: [String], of group: String) {
        var attributes = groups[group] ?? []
        if attributes.strings(name) == list { return }
        attributes.removeAll {
            $0.name == name || $0.name.hasPrefix(name) && Int($0.name.dropFirst(name.count)) != nil
        }
        let width = max(1, list.map(\.utf8.count).max() ?? 1)
        let atOnce = max(1, Self.largestList / width)
        let isWhole = list.count <= atOnce
        for (index, start) in stride(from: 0, to: max(1, list.count), by: atOnce).enumerated() {
            let part = list[start..<min(start + atOnce, list.count)]
            let bytes = part.flatMap { Array($0.utf8) + [UInt8](repeating: 0, count: width - $0.utf8.count) }
            // Strings of one length, filled up with zeros (class 3, null padded).
            let type: [UInt8] =
                [0x13, 1, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: width >> ($0 * 8)) }
            attributes.append(
                HDF5Attribute(
                    name: isWhole ? name : "\(name)\(index)", shape: [part.count],
                    value: .raw(type: type, bytes: bytes)))
        }
        groups[group] = attributes
    }
}
