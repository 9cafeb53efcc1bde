internal import Formats
internal import Models

/// A teacher that was found, opened and compared with the model; nothing of its weights is read yet.
public struct PreparedTeacher: Sendable {
    /// The teacher.
    let model: PretrainedModel
    /// Which of its tokens are the model's.
    let shared: SharedTokens
    private let layout: ParameterLayout
    /// Whether it is known to be the model that the other was grown from.
    private let isParent: Bool

    /// Where it lies.
    public var path: String { model.checkpoint.path }
    /// How many tokens it shares with the model.
    public var sharedTokens: Int { shared.count }
    /// How many the model has.
    public var modelTokens: Int { shared.tokens.count }

    /// Looks for the teacher of a job and opens it.
    ///
    /// - Parameters:
    ///   - job: the job.
    ///   - model: the model that learns.
    ///   - isDryRun: whether a teacher without weights will do.
    ///   - isCancelled: asked while checksums of a parent are computed; true stops.
    /// - Returns: the teacher, or why there is no parent; nil where none is asked for.
    /// - Throws: ``UserFacingError`` that names what is wrong with it.
    static func find(
        for job: TrainingJob, _ model: PretrainedModel, isDryRun: Bool, isCancelled: () -> Bool
    ) throws -> (teacher: PreparedTeacher?, missing: String?)? {
        guard let named = job.teacher else { return nil }
        var folder = named
        if named == TrainingJob.parentWord {
            switch try job.teachingParent.find(for: model.checkpoint, isCancelled: isCancelled) {
            case .found(let found): folder = found
            case .missing(let reason): return (nil, reason)
            case nil: return (nil, "none is wanted")
            }
        }
        let isParent = named == TrainingJob.parentWord && job.teachingParent == .ofManifest
        return (try PreparedTeacher(folder, of: model, isParent: isParent, isDryRun: isDryRun), nil)
    }

    private init(
        _ folder: String, of student: PretrainedModel, isParent: Bool, isDryRun: Bool
    ) throws {
        self.isParent = isParent
        do {
            model = try PretrainedModel.open(folder)
        } catch let error as UserFacingError where isDryRun && error.kind == .missing {
            model = try PretrainedModel.blank(folder)
        }
        layout = try model.layout(training: .none)
        shared = try SharedTokens(
            of: student, student.tokenizerIfThere(), in: model, model.tokenizerIfThere())
    }

    /// Refuses a stage whose sequences are longer than what the teacher sees.
    ///
    /// - Throws: ``UserFacingError`` that names both.
    func check(length: Int) throws(UserFacingError) {
        guard length > model.architecture.maximumLength else { return }
        throw UserFacingError(
            .request,
            """
            the teacher \(path) sees \(Units.grouped(model.architecture.maximumLength)) tokens, and the run's sequences have \
            \(Units.grouped(length)); give --length \(model.architecture.maximumLength) or less, or another teacher
            """)
    }

    /// Why it is not the model that another was grown from; nil when it is, or has no weights yet.
    ///
    /// Where nobody has compared them, its weights files are read for their checksums.
    ///
    /// - Throws: ``UserFacingError`` when a manifest is not what it should be, or it was stopped.
    func parentFault(
        of student: PretrainedModel, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> ParentFault? {
        if isParent || model.checkpoint.sources.isEmpty { return nil }
        return try student.checkpoint.parentFault(
            in: path, passingOver: [TrainingJob.name], isCancelled: isCancelled)
    }

    /// The SHA-256 of its configuration, its tokenizer and its tensors, which are read through.
    func sha256() throws(UserFacingError) -> String {
        let files = try RunIdentity.files(of: model.checkpoint).sorted { $0.key < $1.key }
        let values = try RunIdentity.values(ofAllBut: [], in: model.checkpoint) ?? ""
        return FileDigest.sha256(Array((files.map { "\($0.key) \($0.value)\n" } + [values]).joined().utf8))
    }

    private func activations(_ plan: StagePlan) -> ActivationPlan {
        ActivationPlan(model.architecture, layout: layout, batch: 1, sequenceLength: plan.length)
    }

    /// The bytes that it takes in a stage: its weights as they are stored, what it computes a sequence with, and what it
    /// keeps of a batch.
    func byteCount(in plan: StagePlan, _ student: Architecture, _ own: ActivationPlan) -> Int {
        let its = activations(plan)
        let kept = TeacherPlan(
            model.architecture, its, student: student, own, compared: plan.teaching?.hidden?.own.count ?? 0)
        return 4 * (layout.frozenWords + its.count + kept.count)
    }

    /// What its forward pass over a batch computes in products of weights.
    func forwardFlops(rows: Int) -> Double { layout.products(rows: rows).trainingFlops / 3 }

    /// The teacher with its weights, for a stage's batches.
    ///
    /// - Throws: ``UserFacingError`` when its weights can't be read, or there is not enough memory.
    fileprivate func teacher(
        for stage: StagePlan, _ teaching: Teaching, _ student: Architecture, _ own: ActivationPlan,
        on engine: DefaultEngine, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> Teacher<DefaultEngine> {
        let its = activations(stage)
        let transformer = try Transformer(model.architecture, layout: layout, plan: its, on: engine)
        try model.load(into: transformer, isCancelled: isCancelled)
        return try Teacher(
            transformer,
            plan: TeacherPlan(
                model.architecture, its, student: student, own, compared: teaching.hidden?.own.count ?? 0),
            tokens: shared.tokens, teaching: teaching)
    }
}

extension PreparedStage {
    /// The share of the tokens whose sequences the teacher reads: all, or those of the original domain.
    var taughtShare: Double {
        guard let teaching = plan.teaching else { return 0 }
        if teaching.text == .all { return 1 }
        let total = job.sources.reduce(0) { $0 + $1.weight }
        return job.replay.reduce(0) { $0 + $1.weight } / total
    }

    /// The teacher with its weights; nil where there is none.
    ///
    /// - Throws: ``UserFacingError`` when its weights can't be read, or there is not enough memory.
    func teacher(
        on engine: DefaultEngine, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> Teacher<DefaultEngine>? {
        guard let teacher, let teaching = plan.teaching else { return nil }
        let architecture = model.architecture
        return try teacher.teacher(
            for: plan, teaching, architecture, plan.activations(architecture, layout), on: engine, isCancelled
        )
    }
}

extension PretrainedModel {
    /// The model's tokenizer; nil where its folder has none.
    fileprivate func tokenizerIfThere() throws -> Tokenizer? {
        do { return try tokenizer() } catch let error as UserFacingError where error.kind == .missing {
            return nil
        }
    }
}

extension UserFacingError {
    /// The teacher is to be the parent, and there is none.
    static func noTeacher(_ reason: String) -> Self {
        Self(
            .missing,
            "the parent can't be the teacher: \(reason); name it with --parent, or a --teacher by its folder")
    }
}
