internal import Formats
internal import Models
internal import OrderedCollections

/// The tensors of a model that have a row for each token.
struct VocabularyTensors {
    /// The tensors by name, and the end that each is at.
    let tensors: [(name: String, role: VocabularyEnd)]
    /// How many rows they have.
    let rows: Int
    /// Whether one tensor serves both ends.
    let isTied: Bool

    /// Finds the tensors.
    ///
    /// - Throws: ``UserFacingError`` when there are none, they do not agree, are quantised, or another tensor is as high and
    ///   nobody knows what it does.
    init(of checkpoint: Checkpoint) throws(UserFacingError) {
        let path = checkpoint.path
        let parts = checkpoint.tensors.keys.compactMap { name in
            VocabularyEnd.part(named: name).map { (name: name, part: $0) }
        }
        for (name, part) in parts where part.isCertain && !part.isPlain {
            throw .quantisedEnd(path: path, tensor: name)
        }
        for name in checkpoint.tensors.keys where name.contains("per_layer") && name.contains("embed") {
            throw .fixedVocabulary(path: path, what: "embeddings of its own for each layer (\(name))")
        }
        func height(_ name: String) -> Int? { checkpoint.tensors[name]?.shape.first }
        guard let first = parts.first(where: { $0.part.end == .input && height($0.name) != nil }),
            let rows = height(first.name)
        else { throw .noEmbedding(path: path, names: Family.names(of: .embedding)) }
        var found: [(name: String, role: VocabularyEnd)] = []
        for (name, part) in parts where part.isCertain || height(name) == rows && part.isPlain {
            guard let height = height(name) else { continue }
            guard height == rows else {
                throw .rowsDiffer(
                    path: path, tensor: name, rows: height, embedding: first.name, expected: rows)
            }
            guard checkpoint.tensors[name]?.type.isFloatingPoint ?? false else {
                throw .quantisedEnd(path: path, tensor: name)
            }
            found.append((name, part.end))
        }
        tensors = found
        self.rows = rows
        let settings = [
            checkpoint.configuration?.languageModel, checkpoint.configuration?.json.object,
        ].compactMap(\.self)
        let says = settings.lazy.compactMap { $0["tie_word_embeddings"]?.bool }.first
        let ownHead = try checkpoint.ownHead()
        isTied = !found.contains { $0.role == .output } || says == true && ownHead == nil
        if let stray = checkpoint.firstAsHigh(as: rows, besides: Set(found.map(\.name))) {
            throw .unknownHeight(
                path: path, tensor: stray, shape: checkpoint.tensors[stray]?.shape ?? [], rows: rows)
        }
    }
}

extension Checkpoint {
    /// The first tensor with as many rows or columns as the vocabulary of which it is not known why.
    ///
    /// Another size of the configuration may explain the number; in a layer two together, as heads times their size. Nothing
    /// else explains a table of whole numbers with that many rows.
    fileprivate func firstAsHigh(as rows: Int, besides known: Set<String>) -> String? {
        let sizes = configuration?.sizes ?? []
        let factors = sizes.union([2, 3, 4])
        let isSize = sizes.contains(rows)
        let isProduct = sizes.contains { $0 > 1 && rows % $0 == 0 && factors.contains(rows / $0) }
        let explained = ((configuration?.family?.layerRows ?? []) + (configuration?.family?.outerRows ?? []))
            .filter { !$0.dimensions.isEmpty && !$0.dimensions.contains(.vocabulary) }
        return tensors.first { name, tensor in
            guard tensor.shape.first == rows || tensor.shape.last == rows, !known.contains(name) else {
                return false
            }
            if tensor.type == .i64, tensor.shape.first == rows { return true }
            let isInLayer = name.split(separator: ".").contains { Int($0) != nil }
            return !isSize && !(isInLayer && isProduct)
                && !explained.contains { name.hasSuffix($0.name + $0.weight) }
        }?.key
    }
}

extension Configuration {
    /// All whole numbers of the configuration but those that are about tokens.
    fileprivate var sizes: Set<Int> {
        var sizes = Set<Int>()
        func walk(_ value: JSON) {
            if let number = value.int { sizes.insert(number) }
            for element in value.array ?? [] { walk(element) }
            for (key, inner) in value.object ?? JSONObject()
            where !key.contains("vocab") && !TokenKey.isToken(key) { walk(inner) }
        }
        walk(json)
        return sizes
    }
}
