internal import Formats
internal import Models
internal import OrderedCollections

/// Where the difference of two models goes in a third that was made of the first, and what of it has no place.
struct ResidualMapping {
    /// Rows of a tensor.
    struct Rows: Equatable {
        let tensor: String
        /// nil for all of them.
        let rows: Range<Int>?
        /// Why they are named.
        let reason: String
    }

    private let comparison: ModelComparison
    private let residuals: OrderedDictionary<String, TensorExpression>
    /// How many tensors something is added to.
    private(set) var mapped = 0
    /// What nothing is added to.
    private(set) var untouched: [Rows] = []
    /// The rows of the base's tensors that are in the model, by tensor.
    private var used: [String: [Range<Int>]] = [:]

    /// The difference of two models, instruct less base, in float32.
    init(_ comparison: ModelComparison) throws(UserFacingError) {
        self.comparison = comparison
        var residuals: OrderedDictionary<String, TensorExpression> = [:]
        for (name, base) in comparison.first.tensors where base.type.isFloatingPoint {
            guard var instruct = comparison.other.tensors[name] else { continue }
            if comparison.extraRows[name] != nil { instruct = try instruct.rows(0..<base.shape[0]) }
            residuals[name] = try .weighted([instruct, base], by: [1, -1], as: .f32)
        }
        self.residuals = residuals
    }

    /// What is added to a tensor, in its shape.
    ///
    /// - Parameters:
    ///   - name: the tensor's name.
    ///   - tensor: the tensor.
    ///   - tree: what it was made of, in terms of the base.
    /// - Returns: the difference where the base's numbers went; nil where it has none of them.
    /// - Throws: ``UserFacingError`` when the numbers can't be computed with.
    mutating func residual(
        for name: String, _ tensor: TensorExpression, _ tree: Provenance?
    ) throws(UserFacingError) -> TensorExpression? {
        guard let tree, tree.shape == tensor.shape else {
            untouched.append(Rows(tensor: name, rows: nil, reason: "surgery.json does not tell of it"))
            return nil
        }
        guard tensor.type.isFloatingPoint else {
            untouched.append(Rows(tensor: name, rows: nil, reason: "numbers without a fraction"))
            return nil
        }
        let height = tensor.shape.first ?? 1
        tree.forEachSource(of: 0..<height) { _, tensor, rows in used[tensor, default: []].append(rows) }
        let residual = try tree.followed { _, tensor in residuals[tensor] }
        for run in tree.lineage.runs where run.source == nil {
            untouched.append(
                Rows(
                    tensor: name, rows: run.rows == 0..<height ? nil : run.rows,
                    reason: run.kind == .fresh ? "new or zeroed" : "trained from new rows, or another model's"
                ))
        }
        if residual == nil, !untouched.contains(where: { $0.tensor == name }) {
            untouched.append(Rows(tensor: name, rows: nil, reason: "its numbers can't be followed"))
        }
        if residual != nil { mapped += 1 }
        return residual
    }

    /// What of the difference has no place in the model.
    var unplaced: [Rows] {
        var unplaced: [Rows] = []
        for (name, tensor) in residuals {
            guard let ranges = used[name] else {
                unplaced.append(Rows(tensor: name, rows: nil, reason: "not in the model"))
                continue
            }
            for gap in OriginalFiles.gaps(in: tensor.shape.first ?? 1, ranges) {
                unplaced.append(Rows(tensor: name, rows: gap, reason: "not in the model"))
            }
        }
        for (name, count) in comparison.extraRows {
            let height = residuals[name]?.shape.first ?? 0
            unplaced.append(
                Rows(
                    tensor: name, rows: height..<height + count, reason: "the instruct model's alone"))
        }
        return unplaced
    }

    /// Whether a row of the vocabulary has nothing added to it.
    var rowsWithoutResidual: (Int) -> Bool {
        let ranges = untouched.filter { VocabularyEnd.part(named: $0.tensor)?.end == .input }
        return { row in ranges.contains { $0.rows?.contains(row) ?? true } }
    }

    /// Tells people, programs and the manifest.
    func report(to outcome: inout Outcome, strength: Float, of count: Int) {
        let unplaced = unplaced
        outcome.say(
            "added",
            "\(Units.fixed(Double(strength), digits: 2)) × (\(comparison.other.path) − \(comparison.first.path)) to "
                + "\(mapped) of \(count) tensors")
        if !untouched.isEmpty { outcome.say("left as they are", Self.text(untouched)) }
        if !unplaced.isEmpty { outcome.say("without a place", Self.text(unplaced)) }
        outcome.facts["mapped_tensors"] = JSON(mapped)
        outcome.facts["not_mapped"] = .array(untouched.map(\.json))
        outcome.facts["without_place"] = .array(unplaced.map(\.json))
    }

    private static func text(_ rows: [Rows]) -> String {
        let names = rows.prefix(6).map { rows in
            "\(rows.tensor)\(rows.rows.map { " rows \($0.lowerBound)–\($0.upperBound - 1)" } ?? "") (\(rows.reason))"
        }
        let more = rows.count > 6 ? ", and \(rows.count - 6) more (--json lists them)" : ""
        return names.joined(separator: ", ") + more
    }
}

extension ResidualMapping.Rows {
    fileprivate var json: JSON {
        var json: JSON = ["tensor": .string(tensor), "reason": .string(reason)]
        if let rows { json["rows"] = [JSON(rows.lowerBound), JSON(rows.upperBound - 1)] }
        return json
    }
}
