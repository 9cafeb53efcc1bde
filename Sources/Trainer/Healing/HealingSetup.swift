public import Formats
internal import Models

/// A run that is ready to begin: everything it names is opened and checked, no memory is taken, nothing is written.
public struct HealingSetup {
    /// What was asked for.
    public let request: HealingRequest
    /// The model.
    public let model: PretrainedModel
    /// The numbers that decide the result, all of them settled.
    public let plan: HealingPlan
    /// Where the model's tensors lie: what is trained, and what is frozen.
    public let layout: ParameterLayout
    /// What of them is moved in a way of its own.
    public let groups: GroupPlan
    /// What it will take.
    public let memory: MemoryNeed
    /// What its user should know before it goes wrong.
    public let warnings: [String]
    /// The result's files.
    public let output: WritePlan
    let data: any TrainingData
    /// What is in each source of text, known since it was opened: a pipe is read once.
    private let contents: [TextContent]
    /// What a checkpoint of the run takes on the disk.
    public let checkpointBytes: Int
    /// The sets that are evaluated before and after.
    let evaluations: [EvaluationSet]
    /// What the run will show, by source; nothing is known of it in a dry run whose files are missing.
    public let sources: [SourceProgress]
    /// What a dry run would have read and is not there.
    public let missingFiles: [String]
    /// Whether only the missing files tell how many steps there will be.
    public let isOpenEnded: Bool
    private let dataBytes: Int

    /// Opens what the request names, and counts the tokens of its texts.
    ///
    /// - Parameters:
    ///   - request: what was asked for.
    ///   - isCancelled: asked while tokens are counted; true stops.
    /// - Throws: a `UserFacingError` that names the file or setting and what would be right.
    public init(_ request: HealingRequest, isCancelled: () -> Bool = { false }) throws {
        self.request = request
        let opened: PretrainedModel =
            if let checkpoint = request.checkpoint {
                try PretrainedModel(checkpoint)
            } else if request.fromScratch {
                try .blank(request.model)
            } else {
                try .open(request.model)
            }
        model = request.log.map(opened.leavingOut) ?? opened
        // The result's history goes on from the model's, which must not be lost without a word.
        if let error = model.checkpoint.unusableManifest { throw error }
        let architecture = model.architecture
        var plan = request.plan
        if plan.length == 0 { plan.length = model.usualLength }
        var contents: [TextContent] = []
        var warnings = model.notes
        let missing = try Self.missing(request, model)
        missingFiles = missing
        let tokenizer = missing.isEmpty ? try request.tokenizer(of: model) : nil
        let sequences: Int?
        let progress: (Int) -> [SourceProgress]
        var dataBytes = 0
        switch request.data {
        case _ where !missing.isEmpty:
            data = AbsentData()
            if case .tokens(let count) = request.extent {
                sequences = (count + plan.length - 1) / plan.length
            } else {
                sequences = nil
            }
            progress = { _ in [] }
        case .rows(let path):
            let rows = try TokenDataset(
                path: path, vocabularySize: architecture.vocabularySize, extent: request.extent)
            plan.length = rows.length
            (data, sequences, progress) = (rows, rows.sequenceCount, { rows.progress(after: $0) })
            dataBytes = 4 * rows.count * rows.length
        case .text(let sources):
            guard let tokenizer else { preconditionFailure("texts have been given a tokenizer") }
            let (layout, notes) = try model.documentLayout(tokenizer, endOfText: request.endOfText)
            plan.documents = layout
            var cache = SourceCache(
                tokenizer: tokenizer, vocabularySize: architecture.vocabularySize, threads: request.threads)
            let opened = try cache.open(
                sources, options: request.text, layout: layout, isCancelled: isCancelled)
            let mixture = try DataMixture(
                opened, length: plan.length, extent: request.extent, packing: plan.packing, seed: plan.seed)
            (data, sequences, progress) = (mixture, mixture.sequenceCount(), { mixture.progress(after: $0) })
            dataBytes = cache.byteCount + mixture.byteCount()
            contents = opened.map(\.content)
            warnings += notes + cache.warnings + Self.warnings(request, sources, model)
        }
        evaluations = try EvaluationSet.read(
            missing.isEmpty ? request.evaluations : [], options: request.text, for: model,
            tokenizer: tokenizer, endOfText: request.endOfText)
        self.dataBytes = dataBytes + evaluations.reduce(0) { $0 + $1.byteCount }
        guard plan.length <= architecture.maximumLength else {
            throw UserFacingError.sequenceTooLong(
                path: model.checkpoint.path, length: plan.length, maximum: architecture.maximumLength)
        }
        let sequencesOfStep = plan.batch * plan.accumulate
        if case .passes = request.extent { isOpenEnded = !missing.isEmpty } else { isOpenEnded = false }
        if let sequences { plan.steps = (sequences + sequencesOfStep - 1) / sequencesOfStep }
        sources = progress(plan.steps * sequencesOfStep * plan.length)
        plan.tokens = sequences == nil ? nil : sources.reduce(0) { $0 + $1.shown }
        warnings += Self.warnings(sources)
        plan.schedule.steps = plan.steps
        // A run that goes on, perhaps longer, keeps the warm-up that it began with.
        let kept = request.resume ? RunStore.kept(for: request.output)?.plan.schedule.warmup : nil
        plan.schedule.warmup = request.warmup ?? kept ?? min(max(10, plan.steps / 100), plan.steps / 4)
        self.plan = plan
        if let warmup = request.warmup, warmup > plan.steps {
            warnings.append(
                """
                --warmup \(warmup) is longer than the run, which has \(plan.steps) steps; the rate never reaches --lr
                """)
        }
        (self.warnings, self.contents) = (warnings, contents)
        groups = try GroupPlan(plan.groups, model.layout, of: model.checkpoint)
        layout = try model.layout(
            training: plan.trained, but: groups.frozenTensors, gradients: plan.gradients)
        guard !layout.trained.isEmpty else {
            throw UserFacingError.nothingTrained(path: model.checkpoint.path)
        }
        memory = MemoryNeed(
            plan, architecture, layout: layout, data: self.dataBytes, threads: request.threads)
        // The header and the record take some kilobytes.
        checkpointBytes = 4 * layout.trainedCount + memory.moments + 1 << 16
        // The healed tensors have the source's shapes and types, so its files will have the source's sizes.
        var result = model.unchanged
        result.operations.append(Manifest.Operation(name: "heal", parameters: JSONObject()))
        output = try Self.writer(request).plan(result, to: request.output)
    }

    /// What a dry run would have read and is not there, a tokenizer among it; nothing for a run.
    private static func missing(
        _ request: HealingRequest, _ model: PretrainedModel
    ) throws -> [String] {
        guard request.isDryRun else { return [] }
        var missing = request.files.filter {
            $0 != "-" && !FileSystem.exists($0) && !TextPaths.isPattern($0)
        }
        do { _ = try request.tokenizer(of: model) } catch let error as UserFacingError
            where error.kind == .missing
        {
            missing.append("the model's tokenizer")
        }
        return missing
    }

    /// Looks whether the run fits into the memory that is available, and its result onto the disk.
    ///
    /// - Throws: ``UserFacingError`` that names the options with which it would fit, or `UserFacingError`.
    public func check(available: Int? = MemoryNeed.available) throws {
        try Self.writer(request).check(output)
        if let log = request.log, FileSystem.kind(of: Path.parent(Path.absolute(log))) != .folder {
            throw UserFacingError.noLogFolder(log: log)
        }
        if case .folder(let folder) = request.tensorBoard {
            try EventFile.check(folder, apartFrom: [model.checkpoint.path, request.output])
        }
        if let free = freeRoom, roomNeeded > free {
            throw UserFacingError.tooLittleRoom(
                folder: Path.parent(Path.absolute(request.output)), needed: roomNeeded, available: free,
                checkpoint: checkpointBytes, result: output.byteCount)
        }
        guard let available, memory.total > available else { return }
        throw UserFacingError.tooLittleMemory(
            needed: memory.total, available: available, fitting: fitting(into: available))
    }

    static func writer(_ request: HealingRequest) -> CheckpointWriter {
        var options = WriteOptions(force: request.force, tool: request.tool)
        options.freeSpace = request.freeSpace
        return CheckpointWriter(options: options)
    }

    /// The bytes that the run will have on the disk at once.
    ///
    /// A checkpoint is removed only when the next, or the result, is whole. With checkpoints only when the run is
    /// stopped it is the result's.
    public var roomNeeded: Int {
        guard request.checkpointEvery > 0 else { return output.byteCount }
        let hasSeveral = request.checkpointEvery < plan.steps
        return max(hasSeveral ? 2 * checkpointBytes : 0, checkpointBytes + output.byteCount)
    }

    /// The bytes that the disk of the output has left, those of this run's checkpoints and of its unfinished result
    /// among them.
    public var freeRoom: Int? {
        let folder = Path.parent(Path.absolute(request.output))
        let unfinished = Path.join(folder, ".\(Path.name(Path.absolute(request.output))).partial")
        return request.freeSpace(folder).map {
            $0 + RunStore.byteCount(of: request.output) + FileSystem.byteCount(of: unfinished)
        }
    }

    /// What makes it the same run as another; reads the data, and what of the model is not trained.
    func identity() throws(UserFacingError) -> RunIdentity {
        try RunIdentity(
            plan: plan, model: model, layout: layout, data: request.data, contents: contents,
            text: request.text)
    }

    /// Steps and targets of this very run where it is to be resumed and has ended already; nil otherwise.
    ///
    /// - Throws: ``UserFacingError`` when the data can't be read.
    public func finished() throws -> (steps: Int, tokens: Int)? {
        let manifest = Path.join(request.output, Manifest.fileName)
        guard request.resume, FileSystem.kind(of: manifest) == .file,
            let operation = try Manifest.read(path: manifest).operations.last, operation.name == "heal",
            operation.parameters["steps"]?.int == plan.steps,
            try operation.parameters["run"]?.string == identity().name
        else { return nil }
        // A run that died between its result and the end of its checkpoints.
        try RunStore.removeSteps(in: RunStore.folder(of: request.output))
        return (plan.steps, operation.parameters["tokens"]?.int ?? 0)
    }

    /// The options, and what the run takes with them, that would fit; the smallest change first.
    private func fitting(into available: Int) -> [String] {
        var smaller = plan
        (smaller.moments, smaller.gradients, smaller.recomputation) = (.int8, .bf16, .layer)
        var options: [(String, HealingPlan)] = []
        if plan.moments != .int8 || plan.gradients != .bf16 {
            var packed = plan
            (packed.moments, packed.gradients) = (.int8, .bf16)
            options.append(("--moments 8bit --gradients bf16", packed))
        }
        options.append(("--recompute layer --moments 8bit --gradients bf16", smaller))
        smaller.batch = 1
        smaller.accumulate = plan.batch * plan.accumulate
        options.append(
            (
                """
                --batch 1 --accumulate \(smaller.accumulate) --recompute layer --moments 8bit --gradients bf16
                """, smaller
            ))
        return options.compactMap { options, plan in
            let layout = try? model.layout(
                training: plan.trained, but: groups.frozenTensors, gradients: plan.gradients)
            guard let layout else { return nil }
            let need = MemoryNeed(
                plan, model.architecture, layout: layout, data: dataBytes, threads: request.threads)
            return need.total <= available ? "\(options) (\(need.total / 1_000_000) MB)" : nil
        }
    }

    /// How often a source may be read before repeating it is worth little.
    private static let usefulPasses = 4.0

    /// Warns of sources that are read so often that they teach little more.
    private static func warnings(_ sources: [SourceProgress]) -> [String] {
        sources.filter { $0.passes > usefulPasses }.map { source in
            """
            \(source.name) will be read \(Units.fixed(source.passes, digits: 1)) times; more than four passes over \
            the same text teach little (arXiv 2305.16264). Give more text, fewer steps, or a lower weight
            """
        }
    }

    private static func warnings(
        _ request: HealingRequest, _ sources: [TextSource], _ model: PretrainedModel
    ) -> [String] {
        guard !request.fromScratch else { return [] }
        var warnings: [String] = []
        if !sources.contains(where: \.isReplay) {
            warnings.append(
                """
                no source is marked as the model's original domain; without some of it a model forgets what it \
                knew. Add --replay FILE[:WEIGHT], 5 % for a similar domain, 25 % for another language
                """)
        }
        if model.looksInstructionTuned {
            warnings.append(
                """
                \(model.checkpoint.path) has a chat template, so it looks instruction-tuned; continued pre-training \
                undoes such tuning. Heal the base model and tune the result
                """)
        }
        return warnings
    }
}
