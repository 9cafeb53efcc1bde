public import Formats
internal import Models

/// The model beside which another is evaluated: what it was before the surgery.
public enum ParentChoice: Sendable, Equatable {
    /// The source that the manifest names, where its weights have the checksums that stand there, and its configuration and
    /// tokenizer say what they said.
    case ofManifest
    /// The model of this path.
    case named(String)
    /// None.
    case none
}

/// What a parent makes of the sets of another model.
public enum ParentYardstick: Sendable {
    /// The parent, and what it makes of the sets, in their order.
    ///
    /// Of these bits per byte alone compare: losses are of a model's own tokens.
    case measured(model: String, sets: [(name: String, result: EvaluationResult)])
    /// There is none; why.
    case missing(String)
}

extension ParentChoice {
    /// Looks for the parent of a model.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - isCancelled: asked while checksums are computed; true stops.
    /// - Returns: the parent, or why there is none; nil where none is wanted.
    /// - Throws: ``UserFacingError`` when the named one can't be computed, a manifest is not what it should be, or it was
    ///   stopped.
    public func find(for model: Checkpoint, isCancelled: () -> Bool) throws -> ParentModel? {
        switch self {
        case .none: return nil
        case .named(let path):
            // What can't be computed is told before anything is.
            _ = try PretrainedModel.open(path)
            return .found(path)
        case .ofManifest:
            return try model.parent(passingOver: [TrainingJob.name], isCancelled: isCancelled)
        }
    }

    /// Finds the parent of a model and evaluates it.
    ///
    /// Its weights are kept in the type that they are stored in, in memory that is given back before this returns. A parent that
    /// the manifest names and that can't be evaluated is missing; one that the user has named is an error.
    ///
    /// - Parameters:
    ///   - evaluation: the sets and how they are evaluated; its model is passed over, and its windows are as long as the parent
    ///     can see at most.
    ///   - model: the model.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: the results; nil where no parent is wanted, or there is no set.
    /// - Throws: ``UserFacingError`` that names what is wrong with a named parent, or when it was stopped.
    public func measure(
        _ evaluation: EvaluationRequest, for model: Checkpoint, isCancelled: () -> Bool = { false }
    ) throws -> ParentYardstick? {
        guard !evaluation.sets.isEmpty, let found = try find(for: model, isCancelled: isCancelled) else {
            return nil
        }
        do {
            switch found {
            case .missing(let reason): return .missing(reason)
            case .found(let folder):
                return .measured(
                    model: folder, sets: try Self.results(of: folder, evaluation, isCancelled))
            }
        } catch let error as UserFacingError where self == .ofManifest && !error.isInterruption {
            return .missing(error.message)
        }
    }

    private static func results(
        of folder: String, _ evaluation: EvaluationRequest, _ isCancelled: () -> Bool
    ) throws -> [(name: String, result: EvaluationResult)] {
        if let pipe = evaluation.sets.map(\.path).first(where: TextPaths.isPipe) {
            throw UserFacingError.readOnce(pipe)
        }
        let parent = try PretrainedModel.open(folder)
        var evaluation = evaluation
        (evaluation.model, evaluation.checkpoint) = (folder, parent.checkpoint)
        evaluation.length = min(evaluation.length, parent.architecture.maximumLength)
        let outcome = try evaluation.run(isCancelled: isCancelled)
        if let set = outcome.notFinite { throw UserFacingError.lossNotFinite(set: "\(set) of the parent") }
        return outcome.sets
    }
}

extension UserFacingError {
    /// Two models are to read what can be read once.
    package static func readOnce(_ path: String) -> Self {
        Self(.request, "\(path) can be read once, and the parent reads it, too; keep it in a file")
    }
}
