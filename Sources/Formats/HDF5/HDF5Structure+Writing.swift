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

    /// The same with the lists by which Keras 1 and 2 and TensorFlow's models find tensors saying what there is.
    func listing(_ names: some Sequence<String>) -> HDF5Structure {
        var result = self
        switch layout {
        case .keras3, .plain: break
        case .tensorFlowShards: result.set("layer_names", Array(names), of: "")
        case .keras2:
            let weights = weightNames(names)
            for (layer, list) in weights { result.set("weight_names", list, of: prefix + layer) }
            // Keras goes by the order of the layers that have weights, and by that alone.
            let root = prefix.isEmpty ? "" : String(prefix.dropLast())
            let listed = groups[root]?.strings("layer_names") ?? []
            let isInOrder =
                listed.filter { weights[$0]?.isEmpty == false }
                == weights.filter { !$0.value.isEmpty }.map(\.key)
            if !isInOrder || Set(listed) != Set(weights.keys) {
                result.set("layer_names", Array(weights.keys), of: root)
            }
        }
        return result
    }

    /// The weights of each layer of Keras 1 and 2 in the order of the tensors; layers without any come last.
    private func weightNames(_ names: some Sequence<String>) -> OrderedDictionary<String, [String]> {
        let layers = groups.filter { $0.value.strings("weight_names") != nil }.keys
            .compactMap { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
        let known = Set(layers)
        var weights: OrderedDictionary<String, [String]> = [:]
        for name in names {
            let ancestors = Self.ancestors(of: name)
            guard let layer = ancestors.last(where: known.contains) ?? ancestors.dropFirst().first else {
                continue
            }
            weights[layer, default: []].append(String(name.dropFirst(layer.count + 1)))
        }
        for layer in layers where weights[layer] == nil { weights[layer] = [] }
        return weights
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
