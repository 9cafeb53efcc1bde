internal import Formats
internal import Models
internal import OrderedCollections

/// Brings home what PyTorch's engine has made of a ``RunFolder``: checks it and writes the healed model like a run of our own.
public struct Adoption {
    private let folder: RunFolder
    private let options: RunOptions
    private let model: PretrainedModel

    /// A run folder, of which every file is checked.
    ///
    /// - Parameters:
    ///   - path: the folder `OUT.cluster`.
    ///   - model: the model's folder, where it is not the one that the job names.
    ///   - options: whether an output is replaced, and the program's name.
    /// - Throws: a ``UserFacingError`` that names the file.
    public init(_ path: String, model: String? = nil, options: RunOptions) throws {
        try self.init(RunFolder.open(path), model: model, options: options)
    }

    init(_ folder: RunFolder, model: String? = nil, options: RunOptions) throws {
        (self.folder, self.options) = (folder, options)
        let path = model ?? folder.job.model.path
        self.model = try PretrainedModel.open(path)
        try folder.job.check(filesIn: path)
    }

    /// Where the result goes.
    public var output: String { folder.job.output }

    /// Replays what happened, checks the result and writes the model.
    ///
    /// - Parameters:
    ///   - isCancelled: asked often; true stops.
    ///   - notify: told what happened.
    /// - Returns: what the run did.
    /// - Throws: a ``UserFacingError`` when the run is not at its end, or its result is not what it should be.
    public func callAsFunction(
        isCancelled: () -> Bool = { false }, notify: @escaping (TrainingEvent) -> Void = { _ in }
    ) throws -> TrainingOutcome {
        let plan = try PreparedJob.writer(options).plan(model.unchanged, to: output)
        try PreparedJob.writer(options).check(plan)
        let tensorboard = Path.join(CheckpointStore.folder(of: output), EventFile.folderName)
        let events = WorkerEvents(folder, log: nil, tensorboard: tensorboard, replaces: true, notify: notify)
        for line in try WorkerEvents.lines(of: folder) { try events.take(line) }
        guard events.isFinished else {
            throw events.refusal
                ?? UserFacingError(
                    .request,
                    """
                    \(folder.path): the run stands at step \(events.outcome.step) of \(folder.steps); start its worker \
                    again to go on, then adopt it
                    """)
        }
        return try adopt(events, isCancelled)
    }

    /// Checks the result and writes the model.
    func adopt(_ events: WorkerEvents, _ isCancelled: () -> Bool) throws -> TrainingOutcome {
        // What only a later stage trains than that of the result is the model's own.
        let trained = folder.job.stages[...events.resultStage].reduce(into: Set<String>()) {
            $0.formUnion($1.tensors.keys)
        }
        let beginning = try WorkerBeginning.masters(in: folder)
        let result = try self.masters(of: model.replacing(beginning), isCancelled)
        let masters = beginning.merging(result.filter { trained.contains($0.key) }) { $1 }
        let engine = try DefaultEngine(threads: options.threads)
        let drift = try model.replacing(beginning).drift(to: masters, on: engine, isCancelled: isCancelled)
        try WorkerCheckpoints(folder, model).bringHome(events, isCancelled)
        events.tell(.drifted(afterStep: events.outcome.resultStep, drift))
        try tellExposure(events)
        var outcome = events.outcome
        outcome.taught = try WorkerEvents.taught(of: folder, through: outcome.step)
        outcome.rows = folder.job.identity.stages[...events.stage].compactMap(\.snippets)
        let operation = folder.job.operation(of: outcome, stage: events.stage)
        let stages = try folder.job.identity.stages(on: model, after: Set(beginning.keys))
        let healed = try stages[events.resultStage].model.learning(masters, by: operation)
        let report = try PreparedJob.writer(options).write(
            healed, to: output, isCancelled: isCancelled,
            progress: { events.tell(.writing(done: $0.done, total: $0.total)) })
        outcome.drift = drift
        outcome.overflows = report.overflows.map { ($0.tensor, $0.count) }
        events.tell(.finished(outcome))
        return outcome
    }

    /// How often new tokens were seen in the steps that were taken; nothing where there are none.
    private func tellExposure(_ events: WorkerEvents) throws {
        guard let tokenizer = try? model.tokenizer(), var exposure = try TokenExposure(of: model) else {
            return
        }
        try folder.forEachStep(WorkerEvents.draws(of: folder)) { exposure.count($0) }
        events.tell(.exposed(afterStep: events.outcome.step, exposure.summary { tokenizer.text(of: $0) }))
    }

    /// The tensors of the result, checked: names, shapes, types, finite numbers, and the bytes of what is frozen.
    private func masters(
        of model: PretrainedModel, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> [String: TensorExpression] {
        let path = Path.join(folder.path, RunFolder.resultName)
        let found = try Checkpoint.open(path).tensors
        let expected = folder.job.stages.reduce(into: Set<String>()) { $0.formUnion($1.tensors.keys) }
        if let name = expected.symmetricDifference(found.keys).min() {
            let isThere = found[name] != nil
            throw UserFacingError(
                .inconsistent,
                "\(path): the tensor '\(name)' is \(isThere ? "there, and nothing trains it" : "not there")")
        }
        var masters: [String: TensorExpression] = [:]
        for (name, tensor) in found {
            if isCancelled() { throw .interrupted("; the result is not adopted yet") }
            guard let old = model.checkpoint.tensors[name], tensor.shape == old.shape, tensor.type == .f32
            else {
                throw UserFacingError(
                    .inconsistent,
                    """
                    \(path): '\(name)' is \(tensor.type.rawValue)\(tensor.shape), and F32\
                    \(model.checkpoint.tensors[name]?.shape ?? []) is expected
                    """)
            }
            try check(name, tensor, from: old)
            masters[name] = tensor
        }
        return masters
    }

    /// Refuses numbers that are none, and frozen rows that have moved.
    private func check(
        _ name: String, _ tensor: TensorExpression, from old: TensorExpression
    ) throws(UserFacingError) {
        let width = tensor.elementCount / max(1, tensor.shape.first ?? 1)
        let frozen = folder.job.frozenRows(of: name).map { $0.lowerBound * width..<$0.upperBound * width }
        let piece = 1 << 20
        for start in stride(from: 0, to: tensor.elementCount, by: piece) {
            let range = start..<min(start + piece, tensor.elementCount)
            let new = try Self.floats(tensor, range)
            if let place = new.firstIndex(where: { !$0.isFinite }) {
                throw .notFinite(
                    path: Path.join(folder.path, RunFolder.resultName), tensor: name, value: new[place],
                    indices: [(start + place) / max(1, width)])
            }
            for part in frozen.map({ $0.clamped(to: range) }) where !part.isEmpty {
                let before = try Self.floats(old, part)
                for index in part
                where new[index - start].bitPattern != before[index - part.lowerBound].bitPattern {
                    throw UserFacingError(
                        .inconsistent,
                        """
                        \(folder.path): row \(index / width) of '\(name)' is frozen and has other bytes than the model's; \
                        the worker did not do what was planned
                        """)
                }
            }
        }
    }

    private static func floats(
        _ tensor: TensorExpression, _ range: Range<Int>
    ) throws(UserFacingError) -> [Float] {
        var values = [Float](repeating: 0, count: range.count)
        var span = values.mutableSpan
        try tensor.floats(range, into: &span)
        return values
    }
}

extension TokenExposure {
    /// The tokens that a surgery has added to a model, none of them seen yet; nil where there are none.
    init?(of model: PretrainedModel) throws(UserFacingError) {
        guard let origins = try ModelOrigins(of: model), let tokenizer = try? model.tokenizer() else {
            return nil
        }
        self.init(of: origins, in: model.layout, tokenizer: tokenizer)
        if tokens.isEmpty { return nil }
    }
}

extension RunFolder {
    /// All steps.
    var steps: Int { job.stages.reduce(0) { $0 + $1.steps } }

    /// The stage of a step, from 0; the last one's behind it.
    func stage(ofStep step: Int) -> Int {
        var end = 0
        return job.stages.dropLast().firstIndex { stage in
            end += stage.steps
            return step <= end
        } ?? job.stages.count - 1
    }
}

extension ClusterJob {
    /// What the manifest says of a run that has ended in a stage.
    func operation(of outcome: TrainingOutcome, stage: Int) -> Manifest.Operation {
        var more: JSONObject = [
            "on": "torchrun", "device": .string(device.rawValue), "dtype": .string(dtype.rawValue),
        ]
        if outcome.resultStep < outcome.step { more["result_step"] = JSON(outcome.resultStep) }
        if rules.result != .last { more["result"] = .string(rules.result.rawValue) }
        if let end = outcome.end { more["ended"] = .string(end.rawValue) }
        if let teacher, let taught = outcome.taught {
            more["teacher"] = identity.teaching(by: teacher.model.path, taught)
        }
        if !outcome.rows.isEmpty { more["distilled_rows"] = .array(outcome.rows.map(\.counts)) }
        return identity.operation(
            steps: outcome.step, shown: outcome.sources, stage: stage, and: more)
    }

    /// Refuses a model whose files are not those that the job was planned with.
    func check(filesIn folder: String) throws(UserFacingError) {
        for file in model.files {
            let own = try InputFile(path: Path.join(folder, file.name))
            guard own.size == file.bytes, try FileDigest.sha256(own) == file.sha256 else {
                throw UserFacingError(
                    .inconsistent,
                    "\(own.path) is not what the job was planned with: its SHA-256 is another; name the model with --model"
                )
            }
        }
    }

    /// The rows of a tensor that no stage moves.
    func frozenRows(of name: String) -> [Range<Int>] {
        var moved: [Range<Int>] = []
        var height = 0
        for stage in stages {
            for run in stage.tensors[name] ?? [] {
                height = max(height, run.rows[1])
                if !run.frozen { moved.append(run.rows[0]..<run.rows[1]) }
            }
        }
        return (0..<height).without(moved.sorted { $0.lowerBound < $1.lowerBound })
    }
}
