internal import Formats
internal import Models

/// Which rule every tensor and row of a model belongs to.
public struct GroupPlan: Sendable, Equatable {
    /// Rows of a tensor that belong to one rule.
    struct Run: Sendable, Equatable {
        var rows: Range<Int>
        /// The rule's number; nil for none.
        var rule: Int?
    }

    /// The rules, the first that matches counting.
    public let rules: [GroupRule]
    /// What the rows of each tensor belong to, by its name; all rows, in order.
    private(set) var runs: [String: [Run]] = [:]

    /// No rules.
    public init() { rules = [] }

    /// Sorts a model's tensors into groups.
    ///
    /// - Parameters:
    ///   - rules: the rules.
    ///   - model: the model.
    /// - Throws: ``UserFacingError`` when a rule selects nothing, or asks what nothing is known of.
    init(_ rules: [GroupRule], of model: PretrainedModel) throws(UserFacingError) {
        self.rules = rules
        if rules.isEmpty { return }
        let (layout, checkpoint) = (model.layout, model.checkpoint)
        let origins = try ModelOrigins(of: model)
        if origins == nil, let rule = rules.first(where: \.selector.needsSurgery) {
            throw .unknownSurgery(rule.name, path: checkpoint.path)
        }
        let count = model.architecture.layers.count
        for case .layers(let first, let last) in rules.map(\.selector) where last >= count {
            throw .noLayers(first, last, path: checkpoint.path, count: count)
        }
        let isTied = !layout.parameters.contains { $0.role == .head }
        var isUsed = [Bool](repeating: false, count: rules.count)
        for parameter in layout.parameters {
            let height = parameter.shape.first ?? 1
            var runs = [Run(rows: 0..<height, rule: nil)]
            for (index, rule) in rules.enumerated() {
                let selected = rule.rows(of: parameter, origins, isTied: isTied)
                for rows in selected { runs = runs.flatMap { $0.giving(rows, to: index) } }
                if runs.contains(where: { $0.rule == index }) { isUsed[index] = true }
            }
            self.runs[parameter.name] = runs
            if parameter.isTransposed, runs.count > 1 { throw .transposedRows(parameter.name) }
        }
        if let unused = isUsed.firstIndex(of: false) {
            throw .emptyGroup(rules[unused].name, path: checkpoint.path)
        }
    }

    /// Whether a surgery has added rows to a trained embedding or head that no rule has.
    func leavesNewRows(of model: PretrainedModel, _ trained: TensorSelection) throws(UserFacingError) -> Bool
    {
        guard let origins = try ModelOrigins(of: model) else { return false }
        let isTied = !model.layout.parameters.contains { $0.role == .head }
        return model.layout.parameters.contains { parameter in
            guard trained.contains(parameter.name) else { return false }
            let added = GroupRule.newRows.rows(of: parameter, origins, isTied: isTied)
            let taken = runs[parameter.name]?.filter { $0.rule != nil }.map(\.rows) ?? []
            return added.contains { rows in rows.contains { row in !taken.contains { $0.contains(row) } } }
        }
    }

    /// The tensors that are frozen as a whole.
    var frozenTensors: Set<String> {
        Set(
            runs.filter { _, runs in runs.allSatisfy { $0.rule.map { rules[$0].isFrozen } ?? false } }.keys)
    }

    /// Refuses a rule that moves nothing, for all that it selects is frozen by other means.
    ///
    /// - Parameters:
    ///   - layout: where the tensors lie, and which of them are trained.
    ///   - path: the model's folder.
    /// - Throws: ``UserFacingError`` that names the rule and a tensor.
    func check(training layout: ParameterLayout, path: String) throws(UserFacingError) {
        let trained = layout.trainedNames
        for (index, rule) in rules.enumerated() where !rule.isFrozen {
            let names = layout.parameters.map(\.name).filter { name in
                runs[name]?.contains { $0.rule == index } ?? false
            }
            guard let first = names.first, trained.isDisjoint(with: names) else { continue }
            throw .frozenGroup(rule.name, path: path, tensor: first, count: names.count)
        }
    }

    /// A group as reports show it.
    public struct Row: Sendable, Equatable {
        /// The rule's selector; `rest` for what no rule selects.
        public let name: String
        /// How many tensors something of is in it, and how many numbers.
        public var tensors: Int, parameters: Int
        /// The share of the run's rate; nil where its tensors differ, or for what is frozen.
        public let rate: Double?
        /// The decay; nil where its tensors differ, or for what is frozen.
        public let decay: Double?
        /// Whether it is not trained.
        public let isFrozen: Bool
    }

    /// Who got what.
    public func table(of layout: ParameterLayout) -> [Row] {
        var rows = rules.map {
            Row(
                name: $0.name, tensors: 0, parameters: 0, rate: $0.rate, decay: $0.decay,
                isFrozen: $0.isFrozen)
        }
        rows.append(Row(name: "no rule", tensors: 0, parameters: 0, rate: nil, decay: nil, isFrozen: false))
        for parameter in layout.parameters {
            let height = max(1, parameter.shape.first ?? 1)
            let width = parameter.shape.reduce(1, *) / height
            for (rule, runs) in Dictionary(grouping: runs[parameter.name] ?? [], by: \.rule) {
                let place = rule ?? rules.count
                rows[place].tensors += 1
                rows[place].parameters += runs.reduce(0) { $0 + $1.rows.count } * width
            }
        }
        return rows.filter { $0.tensors > 0 }
    }
}

extension GroupPlan.Run {
    /// The same rows, those that no rule has yet and that are among `rows` given to one.
    fileprivate func giving(_ taken: Range<Int>, to rule: Int) -> [Self] {
        let part = rows.clamped(to: taken)
        guard self.rule == nil, !part.isEmpty else { return [self] }
        return [
            Self(rows: rows.lowerBound..<part.lowerBound, rule: nil), Self(rows: part, rule: rule),
            Self(rows: part.upperBound..<rows.upperBound, rule: nil),
        ].filter { !$0.rows.isEmpty }
    }
}

extension GroupRule {
    /// The rows of a tensor that it selects, whatever another rule does.
    fileprivate func rows(
        of parameter: Parameter, _ origins: ModelOrigins?, isTied: Bool
    ) -> [Range<Int>] {
        let all = 0..<(parameter.shape.first ?? 1)
        func whole(_ isSelected: Bool) -> [Range<Int>] { isSelected ? [all] : [] }
        let isInput = parameter.role == .embedding
        let isOutput = parameter.role == .head || isTied && isInput
        let new = origins?.newRows[parameter.name] ?? []
        switch selector {
        case .newLayers: return whole(parameter.layer.map { origins?.kind(of: $0) == .identity } ?? false)
        case .copiedLayers: return whole(parameter.layer.map { origins?.kind(of: $0) == .duplicate } ?? false)
        case .seam: return whole(parameter.layer.map { origins?.seam.contains($0) == true } ?? false)
        case .newRows: return isInput || isOutput ? new : []
        case .newInputRows: return isInput ? new : []
        case .newOutputRows: return isOutput ? new : []
        case .oldRows: return isInput || isOutput ? all.without(new) : []
        case .oldInputRows: return isInput ? all.without(new) : []
        case .oldOutputRows: return isOutput ? all.without(new) : []
        case .embeddings: return whole(isInput || parameter.role == .positions)
        case .head: return whole(isOutput)
        case .norms: return whole(parameter.module.isNorm)
        case .experts: return whole(parameter.module.isExpert)
        case .router: return whole([.router, .routerCorrection, .sharedRouter].contains(parameter.module))
        case .layers(let first, let last):
            return whole(parameter.layer.map { (first...last).contains($0) } ?? false)
        case .names(let pattern): return whole(TensorSelection.matches(pattern, parameter.name))
        case .rest: return [all]
        }
    }
}

extension Module {
    fileprivate var isNorm: Bool {
        switch self {
        case .embeddingNorm, .attentionNorm, .queryNorm, .keyNorm, .attentionOutputNorm, .feedForwardNorm,
            .feedForwardOutputNorm, .finalNorm:
            true
        default: false
        }
    }

    fileprivate var isExpert: Bool {
        [.expertGate, .expertUp, .expertGateUp, .expertDown].contains(self)
    }
}

extension Range<Int> {
    /// What is left of it; the others are in the order in which they begin.
    func without(_ others: [Range<Int>]) -> [Range<Int>] {
        var rest: [Range<Int>] = []
        var start = lowerBound
        for other in others {
            if start < other.lowerBound { rest.append(start..<other.lowerBound) }
            start = Swift.max(start, other.upperBound)
        }
        if start < upperBound { rest.append(start..<upperBound) }
        return rest
    }
}

extension UserFacingError {
    /// A group is about a surgery of which nothing is known.
    static func unknownSurgery(_ group: String, path: String) -> Self {
        Self(
            .request,
            """
            the group \(group): \(path) has no \(Manifest.fileName) that tells of a surgery, so nobody knows which \
            layers and rows are new; name tensors by layers=FIRST-LAST or names=PATTERN
            """)
    }

    /// A group of layers that the model does not have.
    static func noLayers(_ first: Int, _ last: Int, path: String, count: Int) -> Self {
        Self(
            .request,
            "the group layers=\(first)-\(last): \(path) has \(count) layers, 0 to \(count - 1)")
    }

    /// A group that nothing belongs to.
    static func emptyGroup(_ group: String, path: String) -> Self {
        Self(
            .request,
            "the group \(group) selects nothing in \(path), or only what an earlier group has; leave it out, or mend it"
        )
    }

    /// A group with a rate of which nothing is trained.
    static func frozenGroup(_ group: String, path: String, tensor: String, count: Int) -> Self {
        let others = count == 1 ? "" : " and \(count - 1) more"
        return Self(
            .request,
            """
            the group \(group) has a rate or a decay, and all that it selects in \(path) is frozen by train and freeze: \
            \(tensor)\(others); leave the group out, or train what it selects
            """)
    }

    /// Rows of a tensor that does not lie row by row.
    static func transposedRows(_ tensor: String) -> Self {
        Self(.unsupported, "rows of \(tensor), which lies column by column, can't be groups of their own")
    }
}
