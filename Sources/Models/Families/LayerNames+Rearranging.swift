package import Formats
package import OrderedCollections

extension LayerNames {
    /// The tensors of a model whose layers are others of the same model.
    ///
    /// Layers behind the last one, which predict further tokens, stay behind it.
    ///
    /// - Parameters:
    ///   - tensors: the model's.
    ///   - origins: for each layer of the result, which layer of the model it is.
    ///   - count: how many layers the model has.
    /// - Returns: the tensors in an order like the model's: sorted by name where the model's are, else all layers where
    ///   the first one began.
    package func rearranged(
        _ tensors: OrderedDictionary<String, TensorExpression>, origins: [Int], of count: Int
    ) -> OrderedDictionary<String, TensorExpression> {
        var layers: [Int: [(rest: Substring, tensor: TensorExpression)]] = [:]
        for (name, tensor) in tensors {
            guard let (layer, rest) = parse(name) else { continue }
            layers[layer, default: []].append((rest, tensor))
        }
        let origins = origins + layers.keys.filter { $0 >= count }.sorted()
        var result: OrderedDictionary<String, TensorExpression> = [:]
        var isDone = false
        for (name, tensor) in tensors {
            guard parse(name) != nil else {
                result[name] = tensor
                continue
            }
            if isDone { continue }
            isDone = true
            for (index, origin) in origins.enumerated() {
                for (rest, tensor) in layers[origin] ?? [] {
                    result[self.name(layer: index, rest: rest)] = tensor
                }
            }
        }
        if tensors.keys.elementsEqual(tensors.keys.sorted()) { result.sort { $0.key < $1.key } }
        return result
    }
}

extension HDF5Structure {
    /// The groups and attributes of a model whose layers are others of the same model.
    ///
    /// A layer of Keras 3 has its name in the attribute `name` of its own `vars`; where that ends in the layer's
    /// number, it ends in the new one.
    ///
    /// - Parameters:
    ///   - origins: for each layer of the result, which layer of the model it is.
    ///   - count: how many layers the model has.
    ///   - names: what the layers are called.
    /// - Returns: the structure of the result.
    package func rearranged(origins: [Int], of count: Int, names: LayerNames) -> HDF5Structure {
        let order = LayerOrder(origins: origins, count: count, names: names)
        var result = self
        result.groups = order.rearranged(groups, below: prefix)
        var own: OrderedDictionary<String, [HDF5Attribute]> = [:]
        for (name, list) in attributes.sorted(by: { $0.key < $1.key }) { own[name] = list }
        let moved = order.rearranged(own, below: "")
        result.attributes = Dictionary(moved.map { ($0.key, $0.value) }) { first, _ in first }
        return result
    }

    /// The same for weights alone, where Keras 1 and 2 saved a whole model.
    package var weightsAlone: HDF5Structure {
        let root = String(prefix.dropLast())
        var result = self
        result.prefix = ""
        result.groups = [:]
        for (path, attributes) in groups where !path.isEmpty {
            result.groups[path == root ? "" : String(path.dropFirst(prefix.count))] = attributes
        }
        return result
    }
}

/// Which layers become which.
private struct LayerOrder {
    let origins: [Int]
    let count: Int
    let names: LayerNames

    /// Moves what belongs to layers; what stands before the tensors' names in a path is `lead`.
    func rearranged(
        _ values: OrderedDictionary<String, [HDF5Attribute]>, below lead: String
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
        let origins = origins + layers.keys.filter { $0 >= count }.sorted()
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
