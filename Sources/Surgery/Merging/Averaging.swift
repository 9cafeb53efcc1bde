public import Formats
internal import Models
internal import OrderedCollections

/// The mean of several models of one shape, as of the last checkpoints of a run or of runs that began alike.
///
/// Source: Model soups (arXiv 2203.05482); of a run's checkpoints: LAWA (arXiv 2209.14981).
public struct Averaging: SurgeryOperation {
    /// `average`.
    public static let name = "average"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("with", .paths, "the other models", isRequired: true),
        OperationParameter(
            "weights", .string, "how much each counts, the first model's first, as in 0.5,0.25,0.25"),
    ]

    /// The other models.
    public var with: [String]
    /// How much each counts, the first model's first, as in `0.5,0.25,0.25`; nil for all alike.
    public var weights: String?

    /// A request.
    public init(with: [String], weights: String? = nil) {
        self.with = with
        self.weights = weights
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let shares = try shares()
        var outcome = Outcome(source)
        outcome.suffix = "average-\(shares.count)"
        outcome.facts["weights"] = .array(shares.map { JSON($0) })
        let missing = with.filter {
            context.isDryRun && FileSystem.kind(of: $0) == nil && !HubCache.isName($0)
        }
        outcome.warnings = missing.map { "\($0) is not there yet, and the step needs it" }
        guard missing.isEmpty else { return outcome }
        var models: [Checkpoint] = []
        for path in with {
            let model = try Checkpoint.openModel(path)
            try context.checkAgreement(model)
            outcome.warnings += try ModelComparison(source, model).notes
            models.append(model)
        }
        for (name, tensor) in source.tensors {
            let all = [tensor] + models.compactMap { $0.tensors[name] }
            guard tensor.type.isFloatingPoint else {
                try checkSame(all, name, models, context)
                continue
            }
            outcome.checkpoint.tensors[name] = try .weighted(
                all, by: shares.map { Float($0) }, as: tensor.type)
        }
        outcome.checkpoint.otherSources += models.map(\.path)
        outcome.say(
            "average",
            zip([source.path] + with, shares).map { "\(Units.fixed($1, digits: 4)) × \($0)" }
                .joined(separator: " + "))
        return outcome
    }

    /// How much each model counts, together 1.
    func shares() throws(UserFacingError) -> [Double] {
        let count = with.count + 1
        guard count > 1 else { throw .oneModel }
        guard let weights else { return [Double](repeating: 1 / Double(count), count: count) }
        let words = weights.split(separator: ",", omittingEmptySubsequences: false)
        let numbers = words.compactMap { Double($0.trimmed) }
        guard numbers.count == words.count, numbers.allSatisfy(\.isFinite) else {
            throw .badWeights(weights, "it is no list of numbers, as in 0.5,0.25,0.25")
        }
        guard numbers.count == count else {
            throw .badWeights(weights, "there are \(count) models, and so must be the weights")
        }
        // Thirds may be written with three digits.
        let sum = numbers.reduce(0, +)
        guard abs(sum - 1) <= 0.002 else {
            throw .badWeights(weights, "they make \(Units.fixed(sum, digits: 4)) together, not 1")
        }
        return numbers.map { $0 / sum }
    }

    /// Refuses whole numbers that are not the same in all models.
    private func checkSame(
        _ tensors: [TensorExpression], _ name: String, _ models: [Checkpoint], _ context: OperationContext
    ) throws(UserFacingError) {
        for (tensor, model) in zip(tensors.dropFirst(), models) {
            let isSame =
                tensor.type == tensors[0].type
                ? try tensors[0].firstDifference(from: tensor, isCancelled: context.isCancelled) == nil
                : false
            if isSame { continue }
            throw .unlike(
                model.path, "the first model",
                "its tensor '\(name)' has other numbers, and those without a fraction have no mean")
        }
    }
}

extension UserFacingError {
    fileprivate static var oneModel: Self {
        Self(.request, "one model has no mean; name others (with)")
    }

    fileprivate static func badWeights(_ text: String, _ reason: String) -> Self {
        Self(.request, "weights \(text): \(reason)")
    }
}
