/// Which layer of the source each layer of a result is made from, and what it is to that: `layers` among the facts of an
/// operation that arranges layers.
public struct LayerOrigins: Sendable, Equatable {
    /// What a layer of the result is to one of the source.
    public enum Kind: String, Sendable, CaseIterable {
        /// It is that layer: the first that is made from it as it is.
        case original
        /// It is one more of it.
        case duplicate
        /// It does nothing yet: its writers are zero.
        case identity
    }

    /// For each layer of the result, the layer of the source, from 0.
    package let sources: [Int]
    /// For each layer of the result, what it is.
    package let kinds: [Kind]

    /// What layers are, given the source's layer of each and whether it does nothing yet: the first that is made from a layer as it
    /// is, is that layer.
    package static func kinds(of layers: some Sequence<(source: Int, isIdentity: Bool)>) -> [Kind] {
        var seen: Set<Int> = []
        return layers.map { layer in
            if layer.isIdentity { return .identity }
            return seen.insert(layer.source).inserted ? .original : .duplicate
        }
    }

    /// The same in terms of what an earlier operation was given.
    package func following(_ earlier: LayerOrigins?) -> LayerOrigins {
        guard let earlier else { return self }
        func known<Value>(_ values: [Value], _ layer: Int) -> Value? {
            values.indices.contains(layer) ? values[layer] : nil
        }
        return LayerOrigins(
            sources: sources.map { known(earlier.sources, $0) ?? $0 },
            kinds: zip(kinds, sources).map { kind, source in
                kind == .original ? known(earlier.kinds, source) ?? kind : kind
            })
    }
}

extension Manifest.Operation {
    /// Where its layers come from; nil where it leaves them alone, or does not tell in this way.
    package var layers: LayerOrigins? { try? LayerOrigins(facts, ManifestReader(file: Manifest.fileName)) }
}

extension LayerOrigins {
    /// Reads the facts of an operation; nil where they have no origins and kinds, as those of a merge.
    ///
    /// - Throws: ``UserFacingError`` where they contradict themselves.
    init?(_ facts: JSONObject, _ reader: ManifestReader) throws(UserFacingError) {
        guard let layers = facts["layers"], layers["origins"] != nil, layers["kinds"] != nil else {
            return nil
        }
        let before =
            layers["before"] == nil ? Int.max : try reader.value(layers, "before", "a number") { $0.int }
        sources = try reader.list(layers, "origins") { (origin) throws(UserFacingError) in
            guard let layer = origin.int, layer >= 0, layer < before else {
                let last = before == Int.max ? "on" : "to \(before - 1)"
                throw reader.malformed("origins", found: origin.kind, expected: "a layer from 0 \(last)")
            }
            return layer
        }
        kinds = try reader.list(layers, "kinds") { (kind) throws(UserFacingError) in
            guard let known = kind.string.flatMap(Kind.init(rawValue:)) else {
                throw reader.malformed(
                    "kinds", found: kind.kind, expected: "original, duplicate or identity")
            }
            return known
        }
        let after = try layers["after"].map { _ throws(UserFacingError) in
            try reader.value(layers, "after", "a number") { $0.int }
        }
        for (key, count) in [("kinds", kinds.count), ("after", after ?? sources.count)]
        where count != sources.count {
            throw reader.malformed(
                key, found: "\(count) layers", expected: "\(sources.count), as many as 'origins' has,")
        }
        let right = Self.kinds(of: zip(sources, kinds).lazy.map { ($0, $1 == .identity) })
        if let layer = kinds.indices.first(where: { kinds[$0] != right[$0] }) {
            throw reader.malformed(
                "kinds", found: "\(kinds[layer].rawValue) for layer \(layer)",
                expected:
                    "\(right[layer].rawValue), for 'origins' has the source's layer \(sources[layer]) there,")
        }
    }
}
