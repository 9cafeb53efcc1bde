internal import Formats
internal import Models
internal import OrderedCollections

extension HDF5Structure {
    /// The groups and attributes of a model whose layers follow a plan.
    ///
    /// A layer of Keras 3 has its name in the attribute `name` of its own `vars`; where that ends in the layer's
    /// number, it ends in the new one.
    func rearranged(_ plan: LayerPlan, names: LayerNames) -> HDF5Structure {
        var result = self
        result.groups = Self.rearranged(groups, below: prefix, plan, names)
        var own: OrderedDictionary<String, [HDF5Attribute]> = [:]
        for (name, list) in attributes.sorted(by: { $0.key < $1.key }) { own[name] = list }
        let moved = Self.rearranged(own, below: "", plan, names)
        result.attributes = Dictionary(moved.map { ($0.key, $0.value) }) { first, _ in first }
        return result
    }

    /// The same for weights alone, where Keras 1 and 2 saved a whole model.
    var weightsAlone: HDF5Structure {
        let root = String(prefix.dropLast())
        var result = self
        result.prefix = ""
        result.groups = [:]
        for (path, attributes) in groups where !path.isEmpty {
            result.groups[path == root ? "" : String(path.dropFirst(prefix.count))] = attributes
        }
        return result
    }

    /// Moves what belongs to layers; what stands before the tensors' names in a path is `lead`.
    private static func rearranged(
        _ values: OrderedDictionary<String, [HDF5Attribute]>, below lead: String, _ plan: LayerPlan,
        _ names: LayerNames
    ) -> OrderedDictionary<String, [HDF5Attribute]> {
        var layers: [Int: [(rest: Substring, attributes: [HDF5Attribute])]] = [:]
        var kept: OrderedDictionary<String, [HDF5Attribute]> = [:]
        var start: Int?
        for (path, attributes) in values {
            if path.hasPrefix(lead), let (layer, rest) = names.parsePath(path.dropFirst(lead.count) + "/") {
                if start == nil { start = kept.count }
                layers[layer, default: []].append((rest.last == "/" ? rest.dropLast() : rest, attributes))
            } else {
                kept[path] = attributes
            }
        }
        guard let start else { return values }
        var result = OrderedDictionary<String, [HDF5Attribute]>(
            uniqueKeysWithValues: kept.elements[..<start].map { ($0.key, $0.value) })
        let origins = plan.origins + layers.keys.filter { $0 >= plan.sourceCount }.sorted()
        for (layer, origin) in origins.enumerated() {
            for (rest, attributes) in layers[origin] ?? [] {
                let title = names.title(of: layer)
                let path =
                    rest.isEmpty ? title : "\(title)/\(names.renamed(rest, from: origin, to: layer))"
                result[lead + path] =
                    rest == "vars" ? attributes.map { $0.renumbered(from: origin, to: layer) } : attributes
            }
        }
        for (path, attributes) in kept.elements[start...] { result[path] = attributes }
        return result
    }
}

extension HDF5Attribute {
    /// The attribute `name` of a layer that has another number now.
    fileprivate func renumbered(from origin: Int, to layer: Int) -> HDF5Attribute {
        guard name == "name", case .text(let strings) = value, strings.count == 1,
            strings[0].hasSuffix("_\(origin)")
        else { return self }
        let stem = strings[0].dropLast(String(origin).count)
        return HDF5Attribute(name: name, shape: shape, value: .text(["\(stem)\(layer)"]))
    }
}
