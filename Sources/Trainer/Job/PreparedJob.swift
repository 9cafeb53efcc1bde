public import Formats
internal import Models

/// Where and how a job is carried out; what decides the result stands in the ``TrainingJob``.
public struct RunOptions: Sendable {
    /// How many threads compute.
    public var threads = 1
    /// Whether an output, or an unfinished run for it, is replaced.
    public var force = false
    /// Whether an unfinished run goes on; one that was never kept begins.
    public var resume = false
    /// The checkpoint from which an unfinished run goes on; nil for its last.
    public var atStep: Int?
    /// Whether nothing will be trained: files that are not there are named, and what depends on them stays open.
    public var isDryRun = false
    /// Name and version of the program, for the manifest.
    public var tool = "trainer"
    /// Bytes that can be written to the disk of a path; a test may claim less.
    package var freeSpace: @Sendable (String) -> Int? = FileSystem.freeSpace

    /// One thread; nothing is replaced.
    public init() {}
}

/// A job that is ready to begin: everything it names is opened and checked, no memory is taken, nothing is written.
public struct PreparedJob {
    /// What was asked for.
    public let job: TrainingJob
    /// How it is carried out.
    public let options: RunOptions
    /// The model.
    public let model: PretrainedModel
    /// Where it lies.
    let place: ModelPlace
    /// The stages, in order; one in a run without stages.
    public let stages: [PreparedStage]
    /// What its user should know before it goes wrong.
    public let warnings: [String]
    /// The result's files.
    public let output: WritePlan
    /// What a dry run would have read and is not there.
    public let missingFiles: [String]
    /// The sets that are evaluated, and how many tokens a window of theirs predicts.
    let evaluations: [EvaluationSet], window: Int
    /// What the run has left open, and no stage by itself, as it was decided.
    let settled: SettledValues
    /// The folder of TensorBoard's event files; nil for none.
    let eventFolder: String?
    /// The checkpoint of another run that this one begins with; nil where it begins with the model.
    let beginning: CheckpointStore.Kept?
    /// The model from whose predictions stages learn; nil where none is asked for, or it is not there in a dry run.
    public let teacher: PreparedTeacher?
    /// The tokens that a surgery has added, none of them seen yet; nil where it has added none.
    let exposure: TokenExposure?
    /// The texts of all stages, opened and counted; nil where none is read.
    let texts: SourceCache?
    /// What `trainer select` has left beside texts, by their paths.
    let selections: [String: SelectionRecord]

    /// Opens what a job names, and counts the tokens of its texts.
    ///
    /// - Parameters:
    ///   - job: what is asked for.
    ///   - folder: the model's folder; that of a model that was not written, for messages.
    ///   - checkpoint: the model, where it was not written: what a surgery has made of another.
    ///   - output: the folder that the healed model becomes.
    ///   - options: how it is carried out.
    ///   - texts: those that another job of the same model has opened; nil where there was none.
    ///   - isCancelled: asked while tokens are counted; true stops.
    /// - Throws: a `UserFacingError` that names the file or setting and what would be right.
    public init(
        _ job: TrainingJob, on folder: String, checkpoint: Checkpoint? = nil, to output: String,
        options: RunOptions = RunOptions(), texts: SourceCache? = nil, isCancelled: () -> Bool = { false }
    ) throws {
        (self.job, self.options) = (job, options)
        let opened: PretrainedModel =
            if let checkpoint {
                try PretrainedModel(checkpoint)
            } else if job.fromScratch {
                try .blank(folder)
            } else {
                try .open(folder)
            }
        place = ModelPlace(
            path: checkpoint == nil ? Path.absolute(opened.checkpoint.path) : nil, isBlank: job.fromScratch)
        let model = job.log.map(opened.leavingOut) ?? opened
        self.model = model
        // The result's history goes on from the model's, which must not be lost without a word.
        if let error = model.checkpoint.unusableManifest { throw error }
        var missing = options.isDryRun ? try Self.missing(job, model) : []
        let found = try PreparedTeacher.find(
            for: job, model, isDryRun: options.isDryRun, isCancelled: isCancelled)
        if let reason = found?.missing, !options.isDryRun { throw UserFacingError.noTeacher(reason) }
        let teacher = found?.teacher
        self.teacher = teacher
        let tokenizer = missing.isEmpty && job.needsTokenizer ? try model.tokenizer() : nil
        let evaluations = try EvaluationSet.read(
            missing.isEmpty ? job.eval.map { ($0.name, $0.path) } : [], options: job.text, for: model,
            tokenizer: tokenizer, endOfText: job.end)
        var trainedBefore: Set<String> = []
        let beginning = try job.from.map {
            try CheckpointStore.Kept.read($0, or: UserFacingError.notACheckpoint)
        }
        if let beginning {
            try beginning.check(against: model)
            trainedBefore.formUnion(beginning.masters.keys)
        }
        let origins = try ModelOrigins(of: model)
        let added = tokenizer.flatMap { tokenizer in
            origins.map { TokenExposure(of: $0, in: model.layout, tokenizer: tokenizer) }
        }
        exposure = added.flatMap { $0.tokens.isEmpty ? nil : $0 }
        let new = exposure
        let old = try tokenizer.flatMap { tokenizer in
            try OldReading.find(
                for: job, model, tokenizer, added: new, isDryRun: options.isDryRun, isCancelled: isCancelled)
        }
        if let reason = old?.missing { missing.append("the parent, for its tokenizer: \(reason)") }
        missingFiles = missing + [found?.missing].compactMap { $0.map { "the parent, as teacher: \($0)" } }
        let kept = options.resume ? CheckpointStore.kept(for: output)?.identity : nil
        var (stages, cache): ([PreparedStage], SourceCache?) = ([], nil)
        try withoutActuallyEscaping(isCancelled) { isCancelled in
            var context = PreparedStage.Context(
                model: model, tokenizer: tokenizer, lacksFiles: !missing.isEmpty, texts: texts,
                newTokens: new, old: old?.reading,
                evaluationBytes: evaluations.reduce(0) { $0 + $1.byteCount }, kept: kept,
                trainedBefore: trainedBefore, teacher: teacher,
                threads: options.threads, isCancelled: isCancelled)
            for (index, own) in job.stageJobs.enumerated() {
                let title = job.title(ofStage: index)
                do {
                    stages.append(
                        try PreparedStage(
                            own, index: index, after: stages, title: title,
                            keepsEnd: title != nil && job.stages[index].keepsEnd, &context))
                } catch let error as UserFacingError {
                    throw title.map { error.within("the stage '\($0)'") } ?? error
                }
            }
            cache = context.texts
        }
        try beginning?.check(beginning: stages[0].plan)
        try Self.checkSynthetic(stages, cap: job.syntheticCap)
        self.beginning = beginning
        (self.stages, self.evaluations, self.texts) = (stages, evaluations, cache)
        var settled = SettledValues()
        eventFolder = job.eventFolder(of: output, &settled)
        job.settleEvaluations(&settled)
        if let teacher, job.teacher == TrainingJob.parentWord {
            settled.note("teacher", teacher.path, .model, "what it was before the surgery")
        }
        self.settled = settled
        window = stages.map(\.plan.length).min() ?? model.usualLength
        let chosen = options.isDryRun ? nil : try job.selections(isCancelled: isCancelled)
        selections = chosen?.found ?? [:]
        warnings =
            model.notes + (cache?.warnings ?? []) + (chosen?.warnings ?? []) + job.sharedTexts
            + Self.warnings(stages, model)
        // The healed tensors have the source's shapes and types, so its files will have the source's sizes.
        var result = model.unchanged
        result.operations.append(Manifest.Operation(name: TrainingJob.name, parameters: JSONObject()))
        result.otherSources +=
            try job.inputs
            + Self.parents(of: job, model, teacher: teacher, to: output, options, isCancelled)
        var plan = try Self.writer(options).plan(result, to: output)
        plan.workFolders = [CheckpointStore.folder(of: output), RunFolder.path(of: output)]
        self.output = plan
    }

    /// The folders of models that a run reads and no parameter names.
    ///
    /// A parent's checksums are read through, so it is looked for only where it could be what is replaced.
    private static func parents(
        of job: TrainingJob, _ model: PretrainedModel, teacher: PreparedTeacher?, to output: String,
        _ options: RunOptions, _ isCancelled: () -> Bool
    ) throws -> [String] {
        let teachers = [teacher?.path].compactMap(\.self)
        let choice = job.distilsRows ? job.teachingParent : job.eval.isEmpty ? .none : job.parentChoice
        guard options.force, FileSystem.exists(output), choice == .ofManifest,
            case .found(let folder)? = try choice.find(for: model.checkpoint, isCancelled: isCancelled)
        else { return teachers }
        return teachers + [folder]
    }

    /// What a dry run would have read and is not there, a tokenizer among it.
    private static func missing(_ job: TrainingJob, _ model: PretrainedModel) throws -> [String] {
        var missing = job.files.filter {
            $0 != "-" && !FileSystem.exists($0) && !TextPaths.isPattern($0)
        }
        if job.needsTokenizer {
            do { _ = try model.tokenizer() } catch let error as UserFacingError
                where error.kind == .missing
            {
                missing.append("the model's tokenizer")
            }
        }
        return missing
    }

    /// Optimizer steps of all stages.
    public var steps: Int { stages.reduce(0) { $0 + $1.plan.steps } }

    /// Whether only the missing files tell how many steps there will be.
    public var isOpenEnded: Bool { stages.contains(where: \.isOpenEnded) }

    /// The stage that takes the most memory, the first of several.
    public var largestStage: PreparedStage {
        stages.reduce(stages[0]) { $1.memory.total > $0.memory.total ? $1 : $0 }
    }

    /// What it takes: that of the stage that takes the most.
    public var memory: MemoryNeed { largestStage.memory }

    /// What a checkpoint takes on the disk, the largest of all stages.
    public var checkpointBytes: Int { stages.map(\.checkpointBytes).max() ?? 0 }

    /// How many numbers of the model some stage trains.
    public var trainedParameterCount: Int {
        let names = stages.reduce(into: Set<String>()) { $0.formUnion($1.layout.trainedNames) }
        return model.layout.parameters.reduce(0) { $0 + (names.contains($1.name) ? $1.weights.count : 0) }
    }

    /// What the run will show, by source.
    public var sources: [SourceProgress] { Self.sources(of: stages) }

    private static func sources(of stages: [PreparedStage]) -> [SourceProgress] {
        stages.indices.reduce(into: []) { sources, index in
            // What goes on counts since it began.
            let isLast = index + 1 == stages.count || !stages[index + 1].goesOn
            if isLast { sources = sources.adding(stages[index].sources) }
        }
    }

    /// The steps of the run that lie before a stage.
    func steps(before stage: Int) -> Int { stages.prefix(stage).reduce(0) { $0 + $1.plan.steps } }

    /// Looks whether the run fits into the memory that is available, and its result onto the disk.
    ///
    /// - Throws: ``UserFacingError`` that names the options with which it would fit.
    public func check(available: Int? = MemoryNeed.available) throws {
        try Self.writer(options).check(output)
        if let folder = job.files.first(where: { TextPaths.covers($0, output.output) }) {
            throw UserFacingError.outputAmongSources(path: output.output, argument: folder)
        }
        if let log = job.log, FileSystem.kind(of: Path.parent(Path.absolute(log))) != .folder {
            throw UserFacingError.noLogFolder(log: log)
        }
        if let folder = job.tensorboard {
            try EventFile.check(folder, apartFrom: [model.checkpoint.path, output.output])
        }
        if let free = freeRoom, roomNeeded > free {
            throw UserFacingError.tooLittleRoom(
                folder: Path.parent(Path.absolute(output.output)), needed: roomNeeded, available: free,
                checkpoint: checkpointBytes, result: output.byteCount)
        }
        try checkMemory(available: available)
    }

    /// Looks whether the run fits into the memory that is available.
    ///
    /// - Throws: ``UserFacingError`` that names the options with which it would fit.
    func checkMemory(available: Int? = MemoryNeed.available) throws(UserFacingError) {
        guard let available else { return }
        for stage in stages where stage.memory.total > available {
            let error = UserFacingError.tooLittleMemory(
                needed: stage.memory.total, available: available,
                fitting: stage.fitting(into: available, threads: options.threads))
            throw stage.plan.title.map { error.within("the stage '\($0)'") } ?? error
        }
    }

    static func writer(_ options: RunOptions) -> CheckpointWriter {
        var written = WriteOptions(force: options.force, tool: options.tool)
        written.freeSpace = options.freeSpace
        return CheckpointWriter(options: written)
    }

    /// The bytes that the run will have on the disk at once.
    ///
    /// A checkpoint is removed only when the next, or the result, is whole, and some stay. With checkpoints only when the
    /// run is stopped it is the result's; between two stages there is always one.
    public var roomNeeded: Int {
        let every = job.checkpointEvery
        let ends = stages.indices.dropFirst().map { steps(before: $0) }
        // Of those by the number of steps one more, made when the run is stopped.
        let byNumber = every > 0 ? 1 + max(0, steps - 1) / every : 0
        let made =
            byNumber + ends.count { every == 0 || !$0.isMultiple(of: every) } + (keepsLastStep ? 1 : 0)
        // The best is kept beside the last ones, and while a better one is written.
        let best = keepsBest ? 1 : 0
        let stay = (job.keep ?? 1) + best + stages.count(where: \.keepsEnd)
        return max(
            min(made + 2 * best, stay + 1) * checkpointBytes,
            min(made + best, stay) * checkpointBytes + output.byteCount)
    }

    /// Whether the run is kept after its last step, too.
    var keepsLastStep: Bool {
        job.result == .average || job.keep != nil || stages.last?.keepsEnd == true
    }

    /// Whether the best checkpoint by evaluation is kept while the run goes on.
    var keepsBest: Bool { job.keepBest || job.result == .best }

    /// The bytes that the disk of the output has left, those of this run's checkpoints and of its unfinished result
    /// among them.
    public var freeRoom: Int? {
        let folder = Path.parent(Path.absolute(output.output))
        let unfinished = Path.join(folder, ".\(Path.name(Path.absolute(output.output))).partial")
        return options.freeSpace(folder).map {
            $0 + CheckpointStore.byteCount(of: output.output) + FileSystem.byteCount(of: unfinished)
        }
    }

    /// What makes it the same run as another; reads the data, and what of the model is not trained.
    func identity() throws(UserFacingError) -> RunIdentity { try RunIdentity(of: self) }

    /// Steps and targets of this very run where it is to be resumed and has ended already; nil otherwise.
    ///
    /// - Throws: ``UserFacingError`` when the data can't be read.
    public func finished() throws -> (steps: Int, tokens: Int)? {
        let manifest = Path.join(output.output, Manifest.fileName)
        guard options.resume, FileSystem.kind(of: manifest) == .file,
            let operation = try Manifest.read(path: manifest).operations.last,
            operation.name == TrainingJob.name, let taken = operation.parameters["steps"]?.int,
            taken == steps || operation.parameters["ended"] != nil,
            try operation.parameters["run"]?.string == identity().name
        else { return nil }
        // A run that died between its result and the end of its checkpoints.
        if job.keep == nil, !job.keepBest, !stages.contains(where: \.keepsEnd) {
            try CheckpointStore.removeSteps(in: CheckpointStore.folder(of: output.output))
        }
        return (taken, operation.parameters["tokens"]?.int ?? 0)
    }
}

// MARK: - Synthetic text

extension PreparedJob {
    /// The largest share of synthetic text in continued pre-training that is known to have done no harm: KORMo, arXiv 2510.09426.
    static let largestKnownSyntheticShare = 0.687

    /// Refuses a run that shows more synthetic text than the cap allows.
    private static func checkSynthetic(_ stages: [PreparedStage], cap: Double?) throws(UserFacingError) {
        let sources = sources(of: stages)
        guard let cap, sources.syntheticShare > cap else { return }
        throw .tooSynthetic(share: sources.syntheticShare, cap: cap, by: words(sources))
    }

    /// The sources that have synthetic text, with the share of what will be shown of each.
    private static func words(_ sources: [SourceProgress]) -> String {
        sources.compactMap { source in
            source.synthetic.map {
                "\(source.name) \(Units.grouped($0)) of \(Units.grouped(source.shown)) tokens"
            }
        }.joined(separator: ", ")
    }

    /// What to tell of a run that shows more synthetic text than is known to do no harm; nil of any other.
    private static func syntheticWarning(_ stages: [PreparedStage]) -> String? {
        let sources = sources(of: stages)
        guard sources.syntheticShare > largestKnownSyntheticShare else { return nil }
        return """
            \(Units.percent(sources.syntheticShare)) of what the run shows is marked as synthetic (\(words(sources))); the largest \
            share that is known to have done no harm is \(Units.percent(largestKnownSyntheticShare)) (arXiv 2510.09426). Add text that people have written
            """
    }
}

// MARK: - Warnings

extension PreparedJob {
    /// How often a source may be read before repeating it is worth little.
    private static let usefulPasses = 4.0

    /// How often the run will show each new token; nil where there are none, and where rows of tokens are read, which
    /// nobody has counted.
    static func exposure(in stages: [PreparedStage]) -> ExposureForecast? {
        var counts: [Double] = []
        for (index, stage) in stages.enumerated() {
            // Snippets are to begin with, and not counted.
            if stage.plan.rows != nil { continue }
            guard let first = stage.newTokens.first else { return nil }
            // What goes on counts since it began.
            if index + 1 < stages.count, stages[index + 1].goesOn { continue }
            if counts.isEmpty { counts = first.targets.map { _ in 0 } }
            for (source, pass) in zip(stage.sources, stage.newTokens) {
                for (place, count) in pass.targets.enumerated() {
                    counts[place] += source.passes * Double(count)
                }
            }
        }
        return counts.isEmpty ? nil : ExposureForecast(counts)
    }

    private static func warnings(_ stages: [PreparedStage], _ model: PretrainedModel) -> [String] {
        var warnings: [String] = []
        for stage in stages {
            let place = stage.plan.title.map { "the stage '\($0)': " } ?? ""
            warnings += stage.warnings.map { place + $0 }
            for source in stage.sources where source.passes > usefulPasses {
                warnings.append(
                    """
                    \(place)\(source.name) will be read \(Units.fixed(source.passes, digits: 1)) times; more than four \
                    passes over the same text teach little (arXiv 2305.16264). Give more text, fewer steps, or a \
                    lower weight
                    """)
            }
        }
        // What documents are and how they are read is the same in every stage.
        var seen: Set<String> = []
        warnings.removeAll { !seen.insert($0).inserted }
        if let forecast = exposure(in: stages),
            let warning = forecast.warning(
                "in this run", advice: "train longer, give text that has more of them, or add fewer")
        {
            warnings.append(warning)
        }
        let texts = stages.filter { !$0.contents.isEmpty }
        if let warning = syntheticWarning(stages) { warnings.append(warning) }
        guard let job = texts.first?.job, !job.fromScratch else { return warnings }
        if !texts.contains(where: { $0.job.sources.contains(where: \.isReplay) }) {
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

extension TrainingJob {
    /// Where TensorBoard's event files go; nil for nowhere.
    fileprivate func eventFolder(of output: String, _ settled: inout SettledValues) -> String? {
        if noTensorboard { return nil }
        let beside = Path.join(CheckpointStore.folder(of: output), EventFile.folderName)
        return settled.settle("tensorboard", tensorboard, else: beside, .rule, "beside the result")
    }

    /// Notes when sets are evaluated, and which of them must be healed, where that was left open.
    fileprivate func settleEvaluations(_ settled: inout SettledValues) {
        if evalAt.isEmpty, case .percentages(let usual) = evaluationSchedule {
            settled.note("eval-at", usual, .default, "in per cent of the steps")
        }
        if untilHealed, healedBy.isEmpty {
            settled.note("healed-by", healingSets, .rule, "called as a replayed source is")
        }
    }

    /// Whether texts are encoded: not where only rows of tokens are read.
    fileprivate var needsTokenizer: Bool { !eval.isEmpty || stageJobs.contains { $0.ids == nil } }
}
