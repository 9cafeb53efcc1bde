public import Formats
internal import OrderedCollections

/// The model that a checkpoint of a run holds, as the run's end would make it of the weights that it had then.
public struct CheckpointExport {
    /// The checkpoint's folder.
    public let checkpoint: String
    /// The model that the run began with.
    public let model: PretrainedModel
    /// The run's name, and the step of it that the checkpoint was made after.
    public let run: String, step: Int
    /// The stage that the run was in; nil in a run without stages.
    public let stage: String?
    /// How many numbers come from the checkpoint.
    public let trainedParameterCount: Int
    /// What its user should know, a sentence each.
    public let warnings: [String]
    /// The result's files.
    public let plan: WritePlan
    /// What writes them.
    public let writer: CheckpointWriter

    /// Opens a checkpoint and its model, and finds that they belong together; nothing is written.
    ///
    /// What of the model is not trained is read through once.
    ///
    /// - Parameters:
    ///   - path: the checkpoint's folder, `OUT.run/step-000200`.
    ///   - place: the folder of the model that the run began with; nil for where it was then.
    ///   - isAverage: whether the running average of the weights is taken, and not the weights.
    ///   - output: the folder that the model becomes.
    ///   - options: how it is written.
    /// - Throws: ``UserFacingError`` when it is no checkpoint, is damaged or has no average, or the model is another.
    public init(
        _ path: String, of place: String? = nil, average isAverage: Bool = false, to output: String,
        options: RunOptions = RunOptions()
    ) throws {
        let kept = try CheckpointStore.Kept.read(path, or: UserFacingError.notACheckpoint)
        try kept.checkIsModel()
        let model = try Self.open(place, kept)
        if let error = model.checkpoint.unusableManifest { throw error }
        try kept.check(against: model)
        let stages = try Self.stages(of: kept, on: model)
        let reached = stages[kept.progress.stage]
        let trained = try kept.masters(of: stages.prefix(kept.progress.stage + 1).map(\.layout))
        var masters = trained
        if isAverage {
            try masters.merge(kept.averages(in: reached.layout)) { _, average in average }
        }
        let operation = kept.identity.operation(
            steps: kept.progress.step, shown: kept.progress.sources, stage: kept.progress.stage,
            and: isAverage ? ["result": .string(RunResult.average.rawValue)] : [:])
        (checkpoint, self.model) = (path, model)
        (run, step) = (kept.identity.name, kept.progress.step)
        stage = kept.identity.stages[kept.progress.stage].title
        trainedParameterCount = trained.values.reduce(0) { $0 + $1.elementCount }
        let later = Set(stages.flatMap { $0.layout.trainedNames }).subtracting(trained.keys)
        warnings =
            model.notes
            + (later.isEmpty
                ? []
                : [
                    """
                    \(later.count) tensors are trained only in later stages; they are those of \
                    \(model.checkpoint.path), and nothing tells whether they were the same when the run began
                    """
                ])
        writer = PreparedJob.writer(options)
        plan = try writer.plan(reached.model.learning(masters, by: operation), to: output)
    }

    /// Where an export goes when nobody says where: `OUT.run/step-000200` becomes `OUT-step-200`, beside `OUT`.
    public static func output(of path: String, average: Bool) -> String {
        let path = Path.absolute(path)
        let (folder, name) = (Path.parent(path), Path.name(path))
        let ending = ".run"
        let run = folder.hasSuffix(ending) ? String(folder.dropLast(ending.count)) : folder
        let step = name.hasPrefix("step-") ? Int(name.dropFirst("step-".count)).map { "step-\($0)" } : nil
        return "\(run)-\(step ?? name)" + (average ? "-average" : "")
    }

    private static func open(
        _ place: String?, _ kept: CheckpointStore.Kept
    ) throws -> PretrainedModel {
        guard let folder = place ?? kept.model?.path else { throw UserFacingError.modelNotKnown(kept.path) }
        guard place != nil || FileSystem.exists(folder) else {
            throw UserFacingError.modelIsGone(kept.path, model: folder)
        }
        let model: PretrainedModel = kept.model?.isBlank == true ? try .blank(folder) : try .open(folder)
        let (now, then) = (try RunIdentity.files(of: model.checkpoint), kept.identity.model)
        let others = Set(now.keys).union(then.keys).filter { now[$0] != then[$0] }.sorted()
        guard others.isEmpty else { throw UserFacingError.anotherModel(kept.path, model, others) }
        return model
    }

    /// The stages of a run on a model, laid out again as they were.
    ///
    /// - Throws: ``UserFacingError`` when the model's tensors are not those that the run began with.
    private static func stages(
        of kept: CheckpointStore.Kept, on model: PretrainedModel
    ) throws(UserFacingError) -> [(model: PretrainedModel, layout: ParameterLayout)] {
        // What the run has from another one's checkpoint is among its own weights from its first step on.
        let others = kept.identity.beginning == nil ? [] : Set(kept.masters.keys)
        let stages = try kept.identity.stages(on: model, after: others)
        let trained = stages.reduce(into: Set<String>()) { $0.formUnion($1.layout.trainedNames) }
        guard RunIdentity.shapes(of: trained, in: model.checkpoint) == kept.identity.trained else {
            throw .anotherModel(kept.path, model, ["names, types or shapes of its tensors"])
        }
        guard try RunIdentity.values(ofAllBut: trained, in: model.checkpoint) == kept.identity.frozen else {
            throw .anotherModel(kept.path, model, ["values of tensors that the run does not train"])
        }
        return stages
    }
}

extension RunIdentity {
    /// The stages on a model, laid out again as they were.
    ///
    /// - Parameters:
    ///   - model: the model that the run began with.
    ///   - others: the tensors that were trained before the run.
    /// - Returns: of each the model with its settings, and where its tensors lie.
    /// - Throws: ``UserFacingError`` when the model is none that the stages fit.
    func stages(
        on model: PretrainedModel, after others: Set<String> = []
    ) throws(UserFacingError) -> [(model: PretrainedModel, layout: ParameterLayout)] {
        var laidOut: [(model: PretrainedModel, layout: ParameterLayout)] = []
        var trained = others
        var before: StagePlan?
        for plan in stages {
            let own = try model.settings(of: plan, after: before)
            let layout = try own.layout(of: plan, GroupPlan(plan.groups, of: own), after: trained)
            laidOut.append((own, layout))
            trained.formUnion(layout.trainedNames)
            before = plan
        }
        return laidOut
    }
}

extension CheckpointStore.Kept {
    /// The values of what was trained in some stages, and before the run where it began with a checkpoint.
    ///
    /// - Throws: ``UserFacingError`` when there are others, or too few.
    fileprivate func masters(
        of stages: [ParameterLayout]
    ) throws(UserFacingError) -> [String: TensorExpression] {
        let names = stages.reduce(into: Set<String>()) { $0.formUnion($1.trainedNames) }
        let masters = masters
        if let name = names.subtracting(masters.keys).min() {
            throw .damagedCheckpoint(path, "it lacks the trained '\(name)'")
        }
        if identity.beginning == nil, let name = Set(masters.keys).subtracting(names).min() {
            throw .damagedCheckpoint(path, "it has what the run did not train: '\(name)'")
        }
        return masters
    }

    /// The running average of what a stage trains, each tensor as the model's files have it.
    ///
    /// - Throws: ``UserFacingError`` when the run keeps none.
    fileprivate func averages(
        in layout: ParameterLayout
    ) throws(UserFacingError) -> [String: TensorExpression] {
        guard identity.stages[progress.stage].averageDecay != nil else { throw .noAverage(path) }
        var averages: [String: TensorExpression] = [:]
        for block in layout.trained {
            let values = average(of: block.name)
            guard let values, values.type == .f32, values.shape == [block.weights.count] else {
                throw .damagedCheckpoint(path, "it lacks the average of '\(block.name)'")
            }
            for parameter in layout.parameters
            where parameter.isTrained && block.weights.words.contains(parameter.weights.start) {
                let start = parameter.weights.start - block.weights.start
                let tensor = try values.rows(start..<start + parameter.weights.count)
                    .reshaped(to: parameter.memoryShape)
                averages[parameter.name] = parameter.isTransposed ? try tensor.transposed() : tensor
            }
        }
        return averages
    }
}

// Why a checkpoint can't be exported.
extension UserFacingError {
    /// The run began with a model that was never written.
    fileprivate static func modelNotKnown(_ path: String) -> Self {
        Self(
            .request,
            """
            \(path) does not say where the model lies that its run began with, which was not written before it was \
            trained; write it and name it with --model
            """)
    }

    /// The model is not where it was.
    fileprivate static func modelIsGone(_ path: String, model: String) -> Self {
        Self(
            .missing,
            "\(path) is of a run that began with \(model), which is not there any more; name it with --model")
    }

    /// The model is not the one that the run began with.
    fileprivate static func anotherModel(_ path: String, _ model: PretrainedModel, _ what: [String]) -> Self {
        Self(
            .request,
            """
            \(model.checkpoint.path) is not the model that the run of \(path) began with: other \
            \(what.joined(separator: ", ")). Name that one with --model
            """)
    }

    /// A checkpoint has no running average.
    fileprivate static func noAverage(_ path: String) -> Self {
        Self(.request, "\(path) has no running average; only a run with --result average keeps one")
    }
}
