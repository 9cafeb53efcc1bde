internal import Formats
internal import Models

/// A stage that is ready to begin: settled, its data opened and counted.
public struct PreparedStage {
    /// The job that the stage is.
    public let job: TrainingJob
    /// The model, with the settings that it is trained with.
    public let model: PretrainedModel
    /// The numbers that decide the stage's result, all of them settled.
    public let plan: StagePlan
    /// Where the model's tensors lie: what is trained, and what is frozen.
    public let layout: ParameterLayout
    /// What of them is moved in a way of its own.
    public let groups: GroupPlan
    /// The tensors that an earlier stage has trained, or the run that this one begins with: what is frozen of them now is kept in float32, as they are.
    let masters: Set<String>
    /// The model from which it learns; nil where there is none.
    public let teacher: PreparedTeacher?
    /// What it will take.
    public let memory: MemoryNeed
    /// What a checkpoint takes on the disk.
    public let checkpointBytes: Int
    /// What will have been shown at its end, by source, since the data began that it goes on with; nothing is known of it in a dry run whose files are missing.
    public let sources: [SourceProgress]
    /// Whether only missing files tell how many steps there will be.
    public let isOpenEnded: Bool
    /// Whether the checkpoint at its end stays when the run is done.
    let keepsEnd: Bool
    let data: any TrainingData
    /// Whether the data goes on where that of the stage before stands, for it is the same.
    let goesOn: Bool
    /// What is in each source of text, known since it was opened: a pipe is read once.
    let contents: [TextContent]
    /// How often one pass over each source of text predicts each new token; none where there are no new ones.
    let newTokens: [TokenExposure]
    /// How many documents of each source are turned round for infilling, in PSM and in SPM.
    public let infilled: [InfilledDocuments]
    /// What its user should know before it goes wrong.
    let warnings: [String]
    /// What the job has left open, as it was decided.
    let settled: SettledValues
    private let dataBytes: Int

    /// What all stages are prepared with.
    struct Context {
        /// The model as it was opened.
        var model: PretrainedModel
        /// The model's tokenizer; nil where none is needed, or it is not there in a dry run.
        var tokenizer: Tokenizer?
        /// Whether files are missing, which only a dry run passes over.
        var lacksFiles: Bool
        /// The texts of all stages; nil where none is read.
        var texts: SourceCache?
        /// The tokens that a surgery has added, none of them seen yet; nil where it has added none.
        var newTokens: TokenExposure?
        /// How texts were read before; nil where no stage distils rows.
        var old: OldReading?
        /// Memory that the sets take that are evaluated.
        var evaluationBytes: Int
        /// What a run that is resumed began with.
        var kept: RunIdentity?
        /// The tensors that the run was trained in with whose checkpoint this one begins; none where it begins with the model.
        var trainedBefore: Set<String>
        /// The model from which stages learn; nil where none is asked for, or it is not there in a dry run.
        var teacher: PreparedTeacher?
        var threads: Int
        var isCancelled: () -> Bool
    }

    /// Opens and settles a stage.
    ///
    /// - Parameters:
    ///   - job: the stage's job, without stages.
    ///   - index: the stage's number, from 0.
    ///   - earlier: the stages before it.
    ///   - title: what the stage is called; nil in a run without stages.
    ///   - keepsEnd: whether the checkpoint at its end stays when the run is done.
    ///   - context: what all stages have in common; the texts that are opened are put there.
    /// - Throws: a `UserFacingError` that names the file or setting and what would be right.
    init(
        _ job: TrainingJob, index: Int, after earlier: [PreparedStage], title: String?, keepsEnd: Bool,
        _ context: inout Context
    ) throws {
        let before = earlier.last
        var settled = SettledValues()
        var (model, plan) = (context.model, StagePlan(job, title: title, &settled))
        if plan.rows != nil {
            for name in TrainingJob.setByRows {
                settled.note(
                    name, job.parameters[name] ?? .null, .rule, "what distil-rows says, or its default")
            }
        }
        let extent = DataExtent(of: job, &settled)
        let rows =
            try context.lacksFiles
            ? nil
            : job.ids.map {
                try TokenDataset(
                    path: $0, vocabularySize: model.architecture.vocabularySize, extent: extent)
            }
        if let rows {
            plan.length = rows.length
            settled.note("length", rows.length, .data, "that of the rows")
        } else {
            plan.length = model.length(of: job, &settled)
        }
        try plan.rows?.settle(layers: model.architecture.layers.count)
        if let rule = plan.rows {
            guard rule.length <= plan.length else {
                throw UserFacingError(
                    .request,
                    "distil-rows: a snippet of length=\(rule.length) is longer than a sequence, which has \(plan.length) tokens"
                )
            }
            plan.batch = rule.sequences(plan.length)
        }
        // A base that an earlier stage has trained the model to stays.
        if plan.ropeTheta == nil, let base = before?.plan.ropeTheta {
            plan.ropeTheta = base
            settled.note("rope-theta", base, .stage, "what the stage before was trained with")
        } else if plan.ropeTheta == nil {
            let base = model.rotaryBase
            settled.note(
                "rope-theta", base, .model, base == nil ? "the model has none, or several" : "its own")
        }
        model = try model.settings(of: plan, after: before?.plan)
        let architecture = model.architecture
        var goesOn =
            before.map {
                $0.job.sources == job.sources && $0.job.ids == job.ids && $0.plan.packing == plan.packing
                    && ($0.job.infill, $0.job.infillSpm) == (job.infill, job.infillSpm)
                    && $0.job.infillTokens == job.infillTokens && $0.plan.rows == nil && plan.rows == nil
            }
            ?? false
        // What goes on keeps the order that it has.
        if !job.sources.isEmpty { goesOn = goesOn && before?.plan.length == plan.length }
        if goesOn, let seed = before?.plan.seed {
            plan.seed = seed
            settled.note("seed", seed, .stage, "the data of the stage before goes on")
        } else if index > 0 {
            plan.seed &+= UInt64(index)
            settled.note("seed", plan.seed, .rule, "that of the run, and one more for each stage before")
        }
        let shown = goesOn ? before?.sources ?? [] : []
        var warnings: [String] = []
        var contents: [TextContent] = []
        var infilled: [InfilledDocuments] = []
        var newTokens: [TokenExposure] = []
        let sequences: Int?
        let progress: (Int) -> [SourceProgress]
        var dataBytes = context.evaluationBytes
        if context.lacksFiles {
            data = AbsentData()
            if case .tokens(let count) = extent {
                sequences = (count + plan.length - 1) / plan.length
            } else {
                sequences = nil
            }
            progress = { _ in [] }
        } else if let rows {
            (data, sequences) = (rows, rows.sequenceCount)
            progress = { rows.progress(after: $0, from: shown) }
            dataBytes += 4 * rows.count * rows.length
        } else {
            guard let tokenizer = context.tokenizer else {
                preconditionFailure("texts have been given a tokenizer")
            }
            let (layout, notes, source) = try model.documentLayout(tokenizer, endOfText: job.end)
            plan.documents = layout
            if job.end == .ofModel {
                settled.note(
                    "end-of-text", layout.end.map { tokenizer.token(of: $0) ?? String($0) }, .model,
                    source.map { "the first that \($0) names" } ?? "no file of the model names one")
            }
            if job.infill > 0 {
                plan.infilling = try model.infilling(of: job, seed: plan.seed, tokenizer, layout, &settled)
            }
            var texts =
                context.texts
                ?? SourceCache(
                    tokenizer: tokenizer, vocabularySize: architecture.vocabularySize,
                    threads: context.threads, counting: context.newTokens)
            let opened = try texts.open(
                job.sources, options: job.text, layout: layout, infilling: plan.infilling,
                length: plan.length, isCancelled: context.isCancelled)
            context.texts = texts
            contents = opened.map(\.content)
            if let rule = plan.rows {
                guard let old = context.old else { preconditionFailure("the parent's tokenizer was found") }
                let (snippets, summary, more) = try Snippets.find(
                    rule, in: opened, old, tokenizer, options: job.text, length: plan.length, seed: plan.seed,
                    threads: context.threads, isCancelled: context.isCancelled)
                (plan.snippets, data, sequences) = (summary, snippets, snippets.steps * plan.batch)
                progress = { _ in snippets.sourcesAtEnd }
                dataBytes += texts.byteCount + snippets.byteCount
                warnings += more
            } else {
                let mixture = try DataMixture(
                    opened, length: plan.length, extent: extent, packing: plan.packing, seed: plan.seed)
                (data, sequences) = (mixture, mixture.sequenceCount(from: shown))
                progress = { mixture.progress(after: $0, from: shown) }
                dataBytes += texts.byteCount + mixture.byteCount()
                warnings += opened.flatMap { $0.warnings(ofSequences: plan.length) }
                infilled = opened.map(\.infilled)
                newTokens = opened.compactMap(\.size.new)
            }
            warnings = notes + warnings
        }
        guard plan.length <= architecture.maximumLength else {
            throw UserFacingError.sequenceTooLong(
                path: model.checkpoint.path, length: plan.length, maximum: architecture.maximumLength)
        }
        let teacher = plan.teaching == nil ? nil : context.teacher
        try teacher?.check(length: plan.length)
        self.teacher = teacher
        let sequencesOfStep = plan.batch * plan.accumulate
        if case .passes = extent { isOpenEnded = context.lacksFiles } else { isOpenEnded = false }
        if let sequences {
            plan.steps = (sequences + sequencesOfStep - 1) / sequencesOfStep
            settled.note(
                "steps", plan.steps, .data,
                plan.snippets.map {
                    "\(Units.grouped($0.snippets)) snippets, \(plan.rows?.batch ?? 1) a step, \(plan.rows?.epochs ?? 1) times"
                }
                    ?? "\(Units.grouped(sequences)) sequences of \(plan.length) tokens, \(sequencesOfStep) a step"
            )
        } else if isOpenEnded {
            settled.leaveOpen("steps", .data, "the missing files tell")
        }
        sources = progress(plan.steps * sequencesOfStep * plan.length)
        plan.tokens = sequences == nil ? nil : (sources.tokens - shown.tokens)
        plan.schedule.steps = plan.steps
        // A run that goes on, perhaps longer, keeps the warm-up that it began with.
        let kept = context.kept.flatMap { $0.stages.indices.contains(index) ? $0.stages[index] : nil }
        plan.schedule.settleWarmup(job.warmup, kept: kept?.schedule.warmup, &settled)
        if isOpenEnded, settled.entries["warmup"]?.origin == .rule {
            settled.leaveOpen("warmup", .rule, "follows from the steps")
        }
        try plan.schedule.check()
        if index == 0, job.seam == .ramp {
            let steps = kept?.ramp?.steps ?? max(1, Int((job.rampShare * Double(plan.steps)).rounded()))
            plan.ramp = try SeamRamp(of: model, steps: steps)
        }
        if let warmup = job.warmup, warmup > plan.steps {
            warnings.append(
                """
                --warmup \(warmup) is longer than the run, which has \(plan.steps) steps; the rate never reaches --lr
                """)
        }
        if job.embeddingLr == nil,
            try GroupPlan(plan.groups, of: model).leavesNewRows(of: model, plan.trained)
        {
            plan.groups.append(.newRows)
            settled.note(
                "groups", job.groups + [GroupRule.newRowsText], .rule,
                "new rows of the vocabulary that no group has move twice as fast as the layers")
        }
        let masters =
            earlier.last.map { $0.masters.union($0.layout.trainedNames) } ?? context.trainedBefore
        let groups = try GroupPlan(plan.groups, of: model)
        let layout = try model.layout(of: plan, groups, after: masters)
        if index == 0, let rule = job.hiddenRule, let teacher {
            let steps =
                kept?.teaching?.hidden?.steps ?? max(1, Int((rule.share * Double(plan.steps)).rounded()))
            let (hidden, warning) = try teacher.hidden(
                rule, of: model, training: layout, steps: steps, isCancelled: context.isCancelled)
            plan.teaching?.hidden = hidden
            if let warning { warnings.append(warning) }
        }
        self.job = job
        (self.model, self.plan, self.keepsEnd, self.goesOn) = (model, plan, keepsEnd, goesOn)
        (self.warnings, self.contents, self.dataBytes) = (warnings, contents, dataBytes)
        (self.infilled, self.newTokens) = (infilled, newTokens)
        self.settled = settled
        (self.masters, self.groups, self.layout) = (masters, groups, layout)
        guard !layout.trained.isEmpty else {
            throw UserFacingError.nothingTrained(path: model.checkpoint.path)
        }
        try groups.check(training: layout, path: model.checkpoint.path)
        if job.fromScratch, earlier.isEmpty, let frozen = layout.parameters.first(where: \.isFrozenByChoice) {
            throw UserFacingError.frozenFromScratch(tensor: frozen.name)
        }
        memory = MemoryNeed(
            plan, architecture, layout: layout, data: dataBytes, teacher: teacher, threads: context.threads)
        // What is trained, or was before, in float32; both moments; the header and the record take some kilobytes.
        checkpointBytes =
            4 * layout.trainedCount + memory.moments + 1 << 16
            + layout.parameters.reduce(0) {
                $0 + (!$1.isTrained && masters.contains($1.name) ? 4 * $1.weights.count : 0)
            }
    }

    /// The tokens of a full step.
    var tokensPerStep: Int { plan.batch * plan.accumulate * plan.length }

    /// How many layers the model has.
    public var layerCount: Int { layout.layers.count }

    /// The options, and what the stage takes with them, that would fit; the smallest change first.
    func fitting(into available: Int, threads: Int) -> [String] {
        var smaller = plan
        (smaller.moments, smaller.gradients, smaller.recomputation) = (.int8, .bf16, .layer)
        var options: [(String, StagePlan)] = []
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
            guard let layout = try? model.layout(of: plan, groups, after: masters) else { return nil }
            let need = MemoryNeed(
                plan, model.architecture, layout: layout, data: dataBytes, teacher: teacher, threads: threads)
            return need.total <= available ? "\(options) (\(need.total / 1_000_000) MB)" : nil
        }
    }
}

extension Parameter {
    /// Whether it is not trained though it could be.
    fileprivate var isFrozenByChoice: Bool { !isTrained && role != .constant }
}

extension PretrainedModel {
    /// The model with the settings that a stage trains it with: its base of the rotary position embedding, for its
    /// sequences and those of the stage before.
    ///
    /// - Throws: ``UserFacingError`` for a model of which it is not known what another base means.
    func settings(of plan: StagePlan, after earlier: StagePlan?) throws(UserFacingError) -> PretrainedModel {
        guard let theta = plan.ropeTheta else { return self }
        return try withRotaryBase(theta, length: max(plan.length, earlier?.length ?? 0))
    }

    /// Where its tensors lie in a stage.
    ///
    /// - Parameters:
    ///   - plan: the stage.
    ///   - groups: what of the model it moves in a way of its own.
    ///   - masters: the tensors that earlier stages have trained.
    /// - Returns: the layout.
    /// - Throws: ``UserFacingError`` when a pattern names no tensor, or tensors that are computed as one only in part.
    func layout(
        of plan: StagePlan, _ groups: GroupPlan, after masters: Set<String>
    ) throws(UserFacingError) -> ParameterLayout {
        try layout(
            training: plan.trained, but: groups.frozenTensors, inFloat32: masters, gradients: plan.gradients)
    }

    /// How a stage turns documents round.
    fileprivate func infilling(
        of job: TrainingJob, seed: UInt64, _ tokenizer: Tokenizer, _ layout: DocumentLayout,
        _ settled: inout SettledValues
    ) throws(UserFacingError) -> Infilling {
        let tokens = try InfillingTokens(
            job.infillTokens, in: tokenizer, path: checkpoint.path, rows: architecture.vocabularySize)
        try tokens.check(in: tokenizer, layout, path: checkpoint.path)
        try tokenizer.checkInfilling(path: checkpoint.path)
        if job.infillTokens.isEmpty {
            settled.note("infill-tokens", tokens.names(in: tokenizer), .model, "its tokenizer has them")
        }
        return Infilling(rate: job.infill, spm: job.infillSpm, tokens: tokens, seed: seed)
    }

    /// Tokens of a sequence of a stage: what is asked for, else what is usual for the model.
    fileprivate func length(of job: TrainingJob, _ settled: inout SettledValues) -> Int {
        let most = architecture.maximumLength
        let isModels = usualLength == most
        return settled.settle(
            "length", job.length, else: usualLength, isModels ? .model : .default,
            isModels
                ? "the most that the model sees" : "the model sees up to \(Units.grouped(most))")
    }

    /// The base of its rotary position embedding; nil where it has none, or several.
    fileprivate var rotaryBase: Double? {
        let bases = Set(architecture.layers.compactMap(\.attention.rotary?.theta))
        return bases.count == 1 ? bases.first : nil
    }
}

extension DataExtent {
    /// How much a stage shows: what is asked for, else one pass.
    fileprivate init(of job: TrainingJob, _ settled: inout SettledValues) {
        if let tokens = job.tokens {
            self = .tokens(tokens)
        } else if job.steps != nil {
            self = .unlimited
        } else {
            let passes = settled.settle(
                "epochs", job.epochs, else: 1, .default, "where neither steps nor tokens are given")
            self = .passes(passes)
        }
    }
}

extension Schedule {
    /// Settles the warm-up, the steps being known: what is asked for, else what a run that goes on began with, else a
    /// hundredth of the steps, at least 10, at most a quarter.
    fileprivate mutating func settleWarmup(_ given: Int?, kept: Int?, _ settled: inout SettledValues) {
        if !shape.hasWarmup {
            warmup = settled.settle("warmup", given, else: 0, .rule, "the schedule \(shape) has none")
        } else if let kept {
            warmup = settled.settle(
                "warmup", given, else: kept, .checkpoint, "the run that goes on began with it")
        } else {
            warmup = settled.settle(
                "warmup", given, else: min(max(10, steps / 100), steps / 4), .rule,
                "a hundredth of the steps, at least 10, at most a quarter")
        }
    }
}

extension ParameterLayout {
    /// The names of the tensors that are trained.
    var trainedNames: Set<String> { Set(parameters.lazy.filter(\.isTrained).map(\.name)) }
}

extension TrainingJob {
    /// What ends a document.
    var end: EndOfText { EndOfText(token: endOfText, isLeftOut: noEndOfText) }
}
