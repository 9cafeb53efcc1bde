public import Formats

/// A run of continued pre-training as it is asked for: the same on a command line and in a recipe's `heal` step.
///
/// What is not given stays open (the length, the warm-up, how gradients are kept) until the model and its data are known;
/// ``PreparedJob`` settles it. A job may have stages, which follow one another: see ``TrainingStage``.
public struct TrainingJob: Parameterized, Equatable {
    /// `heal`.
    public static let name = "heal"

    /// Text to train on.
    public var data: [TextSource] = []
    /// The same, of the model's original domain.
    public var replay: [TextSource] = []
    /// Rows of tokens instead: a safetensors file with `input_ids` (N, T).
    public var ids: String?
    /// Sets to evaluate during the run.
    public var eval: [TextSource] = []
    /// The model beside which the sets are put; nil for the one that the manifest names, and none where none is wanted.
    public var parent: String?, noParent = false
    /// The model from whose predictions this one learns: a folder, or `parent`; nil for none.
    public var teacher: String?
    /// The teacher's share in the loss, what logits are divided by for it, and the text on which it teaches: see ``Teaching``.
    public var teacherWeight = 0.5, teacherTemperature = 1.0, teacherOn = TaughtText.all
    /// How rows that a surgery has added learn from what the model makes of texts in its old tokens, as
    /// ``RowDistillation/init(_:)`` reads it; nil where the job trains on text.
    public var distilRows: String?
    /// How the first stage holds hidden states to the teacher's, as ``HiddenTeaching`` has it: `WEIGHT[:SHARE]`; nil where it
    /// does not.
    public var teacherHidden: String?
    /// What stands in a sequence, and what a token sees of it.
    public var packing = Packing.documents
    /// The share of the documents of ``data`` that are turned round for infilling, and of these the share with the suffix
    /// first.
    public var infill = 0.0, infillSpm = 0.5
    /// The tokens before prefix, suffix and middle and, where there is one, at the end; those that are known where none is
    /// given.
    public var infillTokens: [String] = []
    /// The most that documents marked as synthetic may be of the tokens that the run shows, 0 to 1; nil for any share.
    public var syntheticCap: Double?
    /// What ends a document; nil for the model's own.
    public var endOfText: String?
    /// Whether documents have no end.
    public var noEndOfText = false
    /// Whether training begins with random weights.
    public var fromScratch = false

    /// How documents are read: see ``TextOptions``.
    public var textKey = TextOptions().textKey, nfc = false, skipBadLines = false, plainText = false

    /// How long it runs: one of optimizer steps, tokens and passes; one pass where none is given.
    public var steps: Int?, tokens: Int?, epochs: Int?
    /// Sequences computed at once, and how often that is done for one step.
    public var batch = 8, accumulate = 1
    /// Tokens of a sequence; nil for 512, or as many as the model sees.
    public var length: Int?
    /// What the backward pass computes again.
    public var recompute = Recomputation.norms

    /// The peak learning rate, and that of the embedding and the output head; nil for a fifth of it, and twice of it for rows that a
    /// surgery has added.
    public var lr = 5e-5, embeddingLr: Double?
    /// What follows the warm-up.
    public var schedule = Schedule.Shape.cosine
    /// Steps of rising rate; nil for a hundredth of all, at least 10, at most a quarter.
    public var warmup: Int?
    /// The share of the peak at which the rate begins to rise.
    public var warmupFrom = 0.0
    /// What is left of the rate at the end, and the part of all steps in which `wsd` and `infinite` fall to it.
    public var minLrRatio = 0.1, decayShare = 0.2
    /// What `infinite` holds, as a share of the peak, and the part of all steps in which it falls to that.
    public var holdRatio = 0.55, cooldownShare = 0.25
    /// What `joined` is made of, as ``PieceRule/init(_:)`` reads it.
    public var pieces: [String] = []
    /// AdamW's numbers.
    public var beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1
    /// What the norm of all gradients is clipped to; 0 does not.
    public var clip = 1.0
    /// How both moments are kept.
    public var moments = MomentPrecision.int8
    /// How the gradients of matrices are kept; nil for bf16 where a step has one part.
    public var gradients: GradientPrecision?
    /// Patterns of the tensors that are trained, and that are not; all are trained where there are none.
    public var train: [String] = [], freeze: [String] = []
    /// What is moved in a way of its own, as ``GroupRule/init(_:)`` reads it; the first that matches counts.
    public var groups: [String] = []
    /// Decides the order of the data.
    public var seed: UInt64 = 0
    /// The base of the rotary position embedding to train with; nil for the model's own.
    public var ropeTheta: Double?
    /// How the first stage begins where layers were copied, and the share of its steps after which a ramp is over.
    public var seam = Seam.plain, rampShare = 0.05
    /// What follows one another, each with settings of its own.
    public var stages: [TrainingStage] = []
    /// A checkpoint of another run that this one begins with: its weights, and the moments of what is trained in both.
    public var from: String?

    /// What becomes of a step whose loss or gradient is no number or a spike, and from how many standard deviations on it
    /// is one.
    public var guarding = StepGuard.Policy.skip, guardSigma = 6.0
    /// When sets are evaluated: after these percentages of the steps, or every so many.
    public var evalAt: [Double] = [], evalEvery: Int?
    /// After how many evaluations without improvement the run ends; nil for never.
    public var patience: Int?
    /// Whether the run ends when it is healed, and the sets that count; where none is named, those called as a replayed
    /// source is.
    public var untilHealed = false, healedBy: [String] = []
    /// For how long the run may go on before it is kept and stopped, as in `3h30m`; nil for any time.
    public var maxTime: String?
    /// What becomes the result, and what is left of a running average after an update.
    public var result = RunResult.last, averageDecay = 0.999
    /// How many of the last checkpoints are kept, after the run, too; nil for one while it goes on.
    public var keep: Int?
    /// Whether the checkpoint that is best by evaluation is kept.
    public var keepBest = false

    /// Steps between checkpoints; 0 keeps one only when the run is stopped, or a stage ends.
    public var checkpointEvery = 100
    /// A file for a line of JSON a step.
    public var log: String?
    /// The folder of TensorBoard's event files; nil for the one beside the result.
    public var tensorboard: String?
    /// Whether there are none.
    public var noTensorboard = false

    /// A job of defaults.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case data, replay, ids, eval, nfc, steps, tokens, epochs, batch, accumulate, length, recompute, lr
        case schedule, warmup, pieces, beta1, beta2, eps, clip, moments, gradients, train, freeze, groups,
            seed, log
        case tensorboard, packing, stages, from, parent, teacher, infill, seam
        case teacherWeight = "teacher-weight"
        case teacherTemperature = "teacher-temperature"
        case teacherOn = "teacher-on"
        case teacherHidden = "teacher-hidden"
        case distilRows = "distil-rows"
        case infillSpm = "infill-spm"
        case infillTokens = "infill-tokens"
        case patience, result, keep
        case noParent = "no-parent"
        case syntheticCap = "synthetic-cap"
        case ropeTheta = "rope-theta"
        case rampShare = "ramp-share"
        case guarding = "guard"
        case guardSigma = "guard-sigma"
        case evalAt = "eval-at"
        case evalEvery = "eval-every"
        case untilHealed = "until-healed"
        case healedBy = "healed-by"
        case maxTime = "max-time"
        case averageDecay = "average-decay"
        case keepBest = "keep-best"
        case noTensorboard = "no-tensorboard"
        case endOfText = "end-of-text"
        case noEndOfText = "no-end-of-text"
        case fromScratch = "from-scratch"
        case textKey = "text-key"
        case skipBadLines = "skip-bad-lines"
        case plainText = "plain-text"
        case embeddingLr = "embedding-lr"
        case minLrRatio = "min-lr-ratio"
        case decayShare = "decay-share"
        case warmupFrom = "warmup-from"
        case holdRatio = "hold-ratio"
        case cooldownShare = "cooldown-share"
        case weightDecay = "weight-decay"
        case checkpointEvery = "checkpoint-every"
    }

    /// What ``TrainingJob/init()`` has.
    public static var defaults: JSONObject { TrainingJob().parameters }

    /// What it takes.
    public static let parameterList =
        parametersBesideStages + [
            OperationParameter(
                "stages", .mappings(of: TrainingStage.name, TrainingStage.parameterList),
                "what follows one another, each with what is other in it than in the job")
        ]

    /// What it takes but for its stages.
    static let parametersBesideStages =
        [
            OperationParameter(
                "data", .texts(weighted: true), "text to train on, each with its share of the mixture"),
            OperationParameter("replay", .texts(weighted: true), "the same, of the model's original domain"),
            OperationParameter(
                "ids", .path, "rows of tokens instead: a safetensors file with input_ids[N, T]"),
            OperationParameter("eval", .texts(weighted: false), "sets to evaluate before and after"),
            OperationParameter(
                "parent", .path,
                "the model beside which the sets are put (the source that surgery.json names)"),
            OperationParameter("no-parent", .flag, "put no model beside the sets"),
            OperationParameter(
                "teacher", .pathOr(parentWord),
                "the model from whose predictions this one learns, or parent: what it was before the surgery"),
            OperationParameter("teacher-weight", .number, "the teacher's share in the loss (0.5)"),
            OperationParameter(
                "teacher-temperature", .number, "what both models' logits are divided by for it (1)"),
            OperationParameter(
                "teacher-on", .choice(TaughtText.allCases.map(\.rawValue)),
                "the text on which it teaches: all, or the sources of replay (all)"),
            OperationParameter(
                "teacher-hidden", .string,
                "hold hidden states behind copied layers to the teacher's at first, too: WEIGHT[:SHARE], of the steps (0.05)"
            ),
            OperationParameter(
                distilRowsName, .string,
                "teach new rows what the model makes of snippets in its old tokens, as in snippets=25, and train nothing else"
            ),
            OperationParameter(
                "packing", .choice(Packing.allCases.map(\.rawValue)),
                "what stands in a sequence, and what a token sees of it (documents)"),
            OperationParameter(
                "infill", .number,
                "the share of the documents of data that are turned round for infilling (0)"),
            OperationParameter(
                "infill-spm", .number, "of these the share with the suffix before the prefix (0.5)"),
            OperationParameter(
                "infill-tokens", .strings,
                "the tokens before prefix, suffix and middle, and at the end (those that the tokenizer has)"),
            OperationParameter(
                "synthetic-cap", .number,
                "refuse a run that shows a larger share of documents marked as synthetic"),
            OperationParameter("end-of-text", .string, "what ends a document; else the model's eos_token_id"),
            OperationParameter("no-end-of-text", .flag, "documents have no end"),
            OperationParameter("from-scratch", .flag, "begin with random weights"),
        ] + TextOptions.parameterList + [
            OperationParameter("steps", .integer, "optimizer steps"),
            OperationParameter("tokens", .integer, "tokens to train on instead"),
            OperationParameter("epochs", .integer, "passes instead (1 where nothing is given)"),
            OperationParameter("batch", .integer, "sequences computed at once (8)"),
            OperationParameter("accumulate", .integer, "how often that is done for one step (1)"),
            OperationParameter(
                "length", .integer, "tokens of a sequence (512, or fewer if the model sees fewer)"),
            OperationParameter(
                "recompute", .choice(Recomputation.allCases.map(\.rawValue)),
                "what the backward pass computes again"),
            OperationParameter("lr", .number, "the peak learning rate (5e-5)"),
            OperationParameter(
                "embedding-lr", .number, "that of embedding and head (a fifth of lr; twice lr for new rows)"),
            OperationParameter(
                "schedule", .choice(Schedule.Shape.allCases.map(\.rawValue)),
                "the course of the rate (cosine)"),
            OperationParameter(
                "pieces", .strings,
                "what the schedule joined is made of, as in linear 100 0-1, sqrt rest 1-0.1"),
            OperationParameter(
                "warmup", .integer, "steps of rising rate (a hundredth, at least 10, at most a quarter)"),
            OperationParameter(
                "warmup-from", .number, "the share of the peak at which the warm-up begins (0)"),
            OperationParameter("min-lr-ratio", .number, "what is left of the rate at the end (0.1)"),
            OperationParameter(
                "decay-share", .number,
                "the part of all steps in which wsd and infinite fall at the end (0.2)"),
            OperationParameter("hold-ratio", .number, "what infinite holds, as a share of the peak (0.55)"),
            OperationParameter(
                "cooldown-share", .number, "the part of all steps in which infinite falls to that (0.25)"),
            OperationParameter("beta1", .number, "AdamW's first decay (0.9)"),
            OperationParameter("beta2", .number, "AdamW's second decay (0.95)"),
            OperationParameter("eps", .number, "added to the root of the second moment (1e-8)"),
            OperationParameter("weight-decay", .number, "decay of tensors of two or more dimensions (0.1)"),
            OperationParameter("clip", .number, "clip the norm of all gradients to this (1); 0 does not"),
            OperationParameter(
                "moments", .choice(MomentPrecision.allCases.map(\.rawValue)),
                "how both moments are kept (8bit)"),
            OperationParameter(
                "gradients", .choice(GradientPrecision.allCases.map(\.rawValue)), "how gradients are kept"),
            OperationParameter("train", .strings, "train only tensors whose names are like these"),
            OperationParameter("freeze", .strings, "leave tensors whose names are like these"),
            OperationParameter(
                "groups", .strings, "what is moved in a way of its own, as in new-rows: rate=2, decay=0"),
            OperationParameter("seed", .integer, "decides the order of the data"),
            OperationParameter(
                "rope-theta", .number, "the base of the rotary position embedding (the model's own)"),
            OperationParameter(
                "seam", .choice(Seam.allCases.map(\.rawValue)),
                "how the run begins where layers were copied: as they are, or fading in (plain)"),
            OperationParameter("ramp-share", .number, "the share of the steps in which they fade in (0.05)"),
            OperationParameter(
                "guard", .choice(StepGuard.Policy.allCases.map(\.rawValue)),
                "what becomes of a step whose loss or gradient is no number or a spike (skip)"),
            OperationParameter(
                "guard-sigma", .number, "standard deviations above the last 128 steps that make a spike (6)"),
            OperationParameter(
                "eval-at", .numbers,
                "when sets are evaluated, in per cent of the steps (0 1 2 5 10 20 50 100)"),
            OperationParameter("eval-every", .integer, "steps between evaluations instead"),
            OperationParameter(
                "patience", .integer,
                "end after so many evaluations without improvement, the stability gap left out"),
            OperationParameter(
                "until-healed", .flag,
                "end when the sets of the original domain are where the parent has them"),
            OperationParameter(
                "healed-by", .strings, "the sets that count for that (those called as a replayed source is)"),
            OperationParameter("max-time", .string, "keep the run and stop after this time, as in 3h30m"),
            OperationParameter(
                "result", .choice(RunResult.allCases.map(\.rawValue)),
                "what becomes the result: the last weights, the best by evaluation, or their running average (last)"
            ),
            OperationParameter(
                "average-decay", .number, "what is left of the running average after an update (0.999)"),
            OperationParameter("keep", .integer, "keep the last so many checkpoints, after the run, too"),
            OperationParameter("keep-best", .flag, "keep the checkpoint that is best by evaluation, too"),
            OperationParameter("from", .path, "begin with a checkpoint of another run, OUT.run/step-N"),
            OperationParameter(
                "checkpoint-every", .integer, "steps between checkpoints (100); 0 keeps none on the way"),
            OperationParameter("log", .output, "a file for a line of JSON a step"),
            OperationParameter(
                "tensorboard", .output, "the folder of TensorBoard's event files (OUT.run/tensorboard)"),
            OperationParameter("no-tensorboard", .flag, "write no event files"),
        ]

    /// Every source of text.
    public var sources: [TextSource] {
        data + replay.map { TextSource(name: $0.name, path: $0.path, weight: $0.weight, isReplay: true) }
    }

    /// The model beside which the sets are put; by default none beside one that begins with random weights.
    public var parentChoice: ParentChoice {
        if let parent { return .named(parent) }
        return noParent || fromScratch ? .none : .ofManifest
    }

    /// How documents are read.
    public var text: TextOptions {
        TextOptions(textKey: textKey, composes: nfc, skipsBadLines: skipBadLines, isPlain: plainText)
    }
}

// MARK: - Checking

extension TrainingJob {
    /// Refuses numbers that can't be, and what contradicts itself; opens nothing.
    ///
    /// - Parameter prefix: what stands before a parameter's name in messages: `--` for options.
    /// - Throws: ``UserFacingError`` that names the parameter.
    public func check(prefix: String = "") throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        try Self.checkNames(eval, what: "sets")
        guard endOfText == nil || !noEndOfText else {
            throw refuse(
                "\(prefix)end-of-text names an end and \(prefix)no-end-of-text leaves it out; give one")
        }
        guard tensorboard == nil || !noTensorboard else {
            throw refuse(
                "\(prefix)tensorboard names a folder and \(prefix)no-tensorboard writes nothing; give one")
        }
        guard parent == nil || !noParent else {
            throw refuse("\(prefix)parent names a model and \(prefix)no-parent wants none; give one")
        }
        guard parent == nil || !eval.isEmpty || teacher == Self.parentWord || distilsRows else {
            throw refuse("\(prefix)parent is put beside the sets of \(prefix)eval; name some")
        }
        try checkRows(prefix)
        try checkTeacher(prefix)
        guard from == nil || !fromScratch else {
            throw refuse(
                "\(prefix)from begins with a checkpoint and \(prefix)from-scratch with random weights; give one"
            )
        }
        guard seam == .plain || from == nil && !fromScratch else {
            throw refuse(
                "\(prefix)seam ramp begins with the model as the surgery left it; leave out \(prefix)\(from == nil ? "from-scratch" : "from")"
            )
        }
        guard 0 < rampShare, rampShare <= 1 else {
            throw refuse("\(prefix)ramp-share must be above 0 and at most 1, not \(rampShare)")
        }
        guard rampShare == TrainingJob().rampShare || seam == .ramp else {
            throw refuse("\(prefix)ramp-share is of \(prefix)seam ramp; give that as well, or leave it out")
        }
        if let syntheticCap, !(0...1).contains(syntheticCap) {
            throw refuse("\(prefix)synthetic-cap must be from 0 to 1, not \(syntheticCap)")
        }
        if textKey.isEmpty { throw refuse("\(prefix)text-key must be the key of a text, as in content") }
        if checkpointEvery < 0 {
            throw refuse("\(prefix)checkpoint-every must be 0 or more, not \(checkpointEvery)")
        }
        try checkEnds(prefix)
        var titles: Set<String> = []
        for index in stages.indices {
            guard let title = title(ofStage: index), !titles.insert(title).inserted else { continue }
            throw refuse("two stages are called '\(title)'; give each a name of its own")
        }
        for (index, job) in stageJobs.enumerated() {
            do { try job.checkStage(prefix: prefix) } catch {
                throw title(ofStage: index).map { error.within("the stage '\($0)'") } ?? error
            }
        }
    }

    /// The stage that ``check(prefix:)`` refuses, from 0; nil where it is none of them, or there are none.
    public var refusedStage: Int? {
        stageJobs.indices.first {
            stages.indices.contains($0)
                && ((try? checkRows(ofStage: $0, "")) == nil
                    || (try? stageJobs[$0].checkStage(prefix: "")) == nil)
        }
    }

    /// Refuses what can't be of evaluations, ends and results.
    private func checkEnds(_ prefix: String) throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        guard evalAt.isEmpty || evalEvery == nil else {
            throw refuse("\(prefix)eval-at and \(prefix)eval-every both say when; give one")
        }
        do { try evaluationSchedule.check() } catch {
            throw error.within("\(prefix)\(evalEvery == nil ? "eval-at" : "eval-every")")
        }
        for (name, count) in [("patience", patience), ("keep", keep)] where count.map({ $0 < 1 }) ?? false {
            throw refuse("\(prefix)\(name) must be 1 or more, not \(count ?? 0)")
        }
        guard !eval.isEmpty || evalAt.isEmpty && evalEvery == nil else {
            throw refuse(
                "\(prefix)\(evalEvery == nil ? "eval-at" : "eval-every") says when sets are evaluated; name some with \(prefix)eval NAME=FILE"
            )
        }
        guard (1...1_000).contains(guardSigma) else {
            throw refuse("\(prefix)guard-sigma must be from 1 to 1000, not \(guardSigma)")
        }
        guard guarding != .off || guardSigma == TrainingJob().guardSigma else {
            throw refuse("\(prefix)guard-sigma is of a guard, and \(prefix)guard is off; leave one out")
        }
        guard (0..<1).contains(averageDecay) else {
            throw refuse("\(prefix)average-decay must be from 0 to below 1, not \(averageDecay)")
        }
        guard averageDecay == TrainingJob().averageDecay || result == .average else {
            throw refuse(
                "\(prefix)average-decay is of \(prefix)result average; give that as well, or leave it out")
        }
        let needsSets = [
            ("patience", patience != nil), ("until-healed", untilHealed), ("keep-best", keepBest),
            ("result best", result == .best),
        ]
        if eval.isEmpty, let name = needsSets.first(where: \.1)?.0 {
            throw refuse("\(prefix)\(name) goes by evaluations; name sets with \(prefix)eval NAME=FILE")
        }
        let names = eval.map(\.name)
        if let name = healedBy.first(where: { !names.contains($0) }) {
            throw .unknownWord(name, what: "set", known: names, at: "\(prefix)healed-by")
        }
        if untilHealed, healingSets.isEmpty {
            throw refuse(
                """
                \(prefix)until-healed does not know which sets must be where the parent has them: name them with \
                \(prefix)healed-by, or call a set as the replayed source is called, as in \(prefix)replay en=a.jsonl \
                \(prefix)eval en=b.jsonl
                """)
        }
        if untilHealed, noParent || fromScratch {
            throw refuse("\(prefix)until-healed goes by what the parent makes of the sets; give it a parent")
        }
        if let maxTime { _ = try RunTime(maxTime, of: "\(prefix)max-time") }
    }

    /// When sets are evaluated.
    var evaluationSchedule: EvaluationSchedule {
        if let evalEvery { return .every(evalEvery) }
        return evalAt.isEmpty ? .usual : .percentages(evalAt)
    }

    /// The sets that must be where the parent has them for the run to be healed.
    var healingSets: [String] {
        if !healedBy.isEmpty { return healedBy }
        let replayed = Set(stageJobs.flatMap(\.replay).map(\.name))
        return eval.map(\.name).filter(replayed.contains)
    }

    private static func checkNames(_ files: [TextSource], what: String) throws(UserFacingError) {
        var seen: Set<String> = []
        for file in files where !seen.insert(file.name).inserted {
            throw UserFacingError(
                .request,
                "two \(what) are called '\(file.name)'; give it once, or each its own name, as in NAME=FILE")
        }
    }

    /// Refuses more than one way to say how long it is.
    func checkExtent(prefix: String) throws(UserFacingError) {
        guard [steps, tokens, epochs].count(where: { $0 != nil }) <= 1 else {
            throw UserFacingError(
                .request, "give one of \(prefix)steps, \(prefix)tokens and \(prefix)epochs")
        }
    }

    /// Refuses what can't be in one stage.
    private func checkStage(prefix: String) throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        guard sources.isEmpty != (ids == nil) else {
            throw refuse("give either text (\(prefix)data, \(prefix)replay) or \(prefix)ids")
        }
        guard ids == nil || packing == .documents else {
            throw refuse(
                "\(prefix)packing is for text; the rows of \(prefix)ids say what a token sees themselves")
        }
        try packing.check(sources: sources.count, length: length, prefix: prefix)
        try checkInfilling(prefix)
        try checkTeaching(prefix)
        try Self.checkNames(sources, what: "sources")
        try checkExtent(prefix: prefix)
        for group in groups { _ = try GroupRule(group) }
        try checkSchedule(prefix)
        let counts = [
            ("steps", steps, 1_000_000_000_000), ("tokens", tokens, 1_000_000_000_000),
            ("epochs", epochs, 1_000_000), ("batch", batch, 1 << 20), ("accumulate", accumulate, 1 << 20),
            ("length", length, 1 << 24),
        ]
        for case (let name, let count?, let most) in counts where !(1...most).contains(count) {
            throw refuse("\(prefix)\(name) must be from 1 to \(Units.grouped(most)), not \(count)")
        }
        let numbers = [
            ("lr", lr, 0...10, "from 0 to 10"), ("embedding-lr", embeddingLr ?? 0, 0...10, "from 0 to 10"),
            ("min-lr-ratio", minLrRatio, 0...1, "from 0 to 1"),
            ("decay-share", decayShare, 0...1, "from 0 to 1"),
            ("warmup-from", warmupFrom, 0...1, "from 0 to 1"),
            ("hold-ratio", holdRatio, 0...1, "from 0 to 1"),
            ("cooldown-share", cooldownShare, 0...1, "from 0 to 1"),
            ("beta1", beta1, 0...0.999999, "from 0 to below 1"),
            ("beta2", beta2, 0...0.999999, "from 0 to below 1"), ("eps", eps, 1e-12...1, "from 1e-12 to 1"),
            ("weight-decay", weightDecay, 0...10, "from 0 to 10"), ("clip", clip, 0...1e9, "0 or more"),
            ("rope-theta", ropeTheta ?? 1, 1...1e12, "from 1 to 1e12"),
        ]
        for (name, value, range, words) in numbers where !range.contains(value) {
            throw refuse("\(prefix)\(name) must be \(words), not \(value)")
        }
        guard lr > 0 || embeddingLr ?? 0 == 0 else {
            throw refuse(
                "\(prefix)embedding-lr is kept as a share of \(prefix)lr, which is 0; give a rate, and freeze what should stay"
            )
        }
        if let warmup, warmup < 0 { throw refuse("\(prefix)warmup must be 0 or more, not \(warmup)") }
    }

    /// Refuses infilling of what can't be turned round.
    private func checkInfilling(_ prefix: String) throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        for (name, share) in [("infill", infill), ("infill-spm", infillSpm)] where !(0...1).contains(share) {
            throw refuse("\(prefix)\(name) must be from 0 to 1, not \(share)")
        }
        guard infill > 0 else {
            guard infillTokens.isEmpty, infillSpm == TrainingJob().infillSpm else {
                throw refuse(
                    "\(prefix)infill-spm and \(prefix)infill-tokens are of \(prefix)infill; give a rate, as in \(prefix)infill 0.9"
                )
            }
            return
        }
        guard !data.isEmpty else {
            throw refuse("\(prefix)infill turns the documents of \(prefix)data round, and there are none")
        }
        guard infillTokens.isEmpty || [3, 4].contains(infillTokens.count),
            Set(infillTokens).count == infillTokens.count
        else {
            throw refuse(
                """
                \(prefix)infill-tokens are three or four different ones, before prefix, suffix and middle and at the end, not \
                \(infillTokens.joined(separator: " "))
                """)
        }
    }

    /// Refuses what the schedule does not read, and pieces that don't fit.
    private func checkSchedule(_ prefix: String) throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        let usual = TrainingJob()
        guard (schedule == .joined) == !pieces.isEmpty else {
            throw refuse("give \(prefix)pieces with \(prefix)schedule joined, and with no other")
        }
        guard schedule.hasWarmup || warmup ?? 0 == 0 && warmupFrom == 0 else {
            throw refuse(
                "the schedule \(schedule) has no warm-up; write it as a piece of joined, as in 'linear 100 0-1'"
            )
        }
        guard warmupFrom == 0 || warmup != 0 else {
            throw refuse("\(prefix)warmup-from is of a warm-up, and \(prefix)warmup is 0; leave one out")
        }
        guard schedule != .constant || minLrRatio == usual.minLrRatio else {
            throw refuse(
                "\(prefix)min-lr-ratio is of schedules that fall, and \(prefix)schedule constant does not; leave one out"
            )
        }
        guard schedule == .infinite || (holdRatio, cooldownShare) == (usual.holdRatio, usual.cooldownShare)
        else { throw refuse("\(prefix)hold-ratio and \(prefix)cooldown-share are the schedule infinite's") }
        if schedule == .infinite, holdRatio < minLrRatio {
            throw refuse(
                "\(prefix)hold-ratio \(holdRatio) must not be below \(prefix)min-lr-ratio, which is \(minLrRatio)"
            )
        }
        if schedule == .infinite, cooldownShare + decayShare > 1 {
            throw refuse("\(prefix)cooldown-share and \(prefix)decay-share must not be more than 1 together")
        }
        let joined = try PieceRule.list(pieces)
        guard let steps else { return }
        try Schedule(shape: schedule, warmup: 0, steps: steps, floor: minLrRatio, joined: joined).check()
    }

    /// The pieces of the schedule, read.
    var pieceRules: [PieceRule] { (try? PieceRule.list(pieces)) ?? [] }

    /// The groups, read.
    var groupRules: [GroupRule] { groups.compactMap { try? GroupRule($0) } }

    /// The files of text, evaluation and tokens that it reads, each once.
    public var files: [String] {
        var seen: Set<String> = []
        let all =
            stageJobs.flatMap { $0.sources.map(\.path) + [$0.ids].compactMap(\.self) } + eval.map(\.path)
        return all.filter { seen.insert($0).inserted }
    }
}
