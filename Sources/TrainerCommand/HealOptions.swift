public import ArgumentParser
import CommandLineSupport
import Formats
public import Trainer

/// The job that says what is taken where nothing is typed.
private let standard = TrainingJob()

/// What a heal reads.
struct HealData: ParsableArguments {
    @Option(
        name: .customLong("data"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "Text to train on, or tokens that tokenize packed, and its share of the mixture.",
            valueName: "[name=]file[:weight]"), transform: TextSource.weighted)
    var files: [TextSource] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "The same, and it is of the model's original domain.", valueName: "[name=]file[:weight]"),
        transform: TextSource.weighted)
    var replay: [TextSource] = []
    @Option(
        help: ArgumentHelp(
            "Rows of tokens instead: a safetensors file with input_ids[N, T].", valueName: "file"))
    var ids: String?
    @Option(
        name: .customLong("eval"), parsing: .upToNextOption,
        help: ArgumentHelp("A set to evaluate before and after.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var evaluations: [TextSource] = []
    @Option(
        help: ArgumentHelp(
            "The model beside which the sets are put: what this one was made of (default: the source that surgery.json names, where it is what it was: weights, configuration, tokenizer).",
            valueName: "model"))
    var parent: String?
    @Flag(help: "Put no model beside the sets.") var noParent = false
    @Option(
        help: ArgumentHelp(
            "What a sequence is made of: documents (a token sees its own document only), concatenate (it sees all before it) or bilingual (halves of two sources; it sees all before it).",
            valueName: "how"))
    var packing = standard.packing
    @Option(
        help: ArgumentHelp(
            "Turn this share of the documents of --data round, so that the model learns to fill in: cut in three at characters, the middle last. For code, 0.9 (default: 0).",
            valueName: "rate"))
    var infill = standard.infill
    @Option(
        help: ArgumentHelp(
            "Of these the share with the suffix before the prefix (SPM); the others are PSM.",
            valueName: "share"))
    var infillSpm = standard.infillSpm
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "The tokens before prefix, suffix and middle, and at the end if there is one (default: those of Code Llama, StarCoder, Qwen, DeepSeek or CodeGemma, as the tokenizer has them, else <PRE> <SUF> <MID> <EOT>).",
            valueName: "token"))
    var infillTokens: [String] = []
    @Option(
        help: ArgumentHelp(
            "Refuse a run that shows a larger share of text marked as synthetic (default: any; a warning above 0.687).",
            valueName: "share"))
    var syntheticCap: Double?
    @OptionGroup var ends: EndOptions
    @Flag(help: "MODEL holds only config.json and the tokenizer; begin with random weights.")
    var fromScratch = false
}

/// In what portions a heal computes.
struct HealBatches: ParsableArguments {
    @Option(help: ArgumentHelp("Sequences computed at once.", valueName: "count")) var batch = standard.batch
    @Option(help: ArgumentHelp("How often that is done for one step.", valueName: "count")) var accumulate =
        standard.accumulate
    @Option(
        help: ArgumentHelp(
            "Tokens of a sequence (default: 512, or fewer if the model sees fewer).", valueName: "tokens"))
    var length: Int?
    @Option(
        help: ArgumentHelp(
            "What the backward pass computes again to save memory: none, norms or layer.", valueName: "what"))
    var recompute = standard.recompute
}

/// How long a heal runs and in what portions.
struct HealExtent: ParsableArguments {
    @Option(help: ArgumentHelp("Optimizer steps.", valueName: "count")) var steps: Int?
    @Option(
        help: ArgumentHelp(
            "Tokens to train on instead, starts and ends of documents included; the last step takes what remains.",
            valueName: "count"))
    var tokens: Int?
    @Option(
        help: ArgumentHelp(
            "Passes instead: until every source was shown so often at its share (default: 1).",
            valueName: "count"))
    var epochs: Int?
    @OptionGroup var batches: HealBatches
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Parts of the run, one after the other, each with what is other in it, as in 'name: rows, steps: 100, groups: [\"new-rows: rate=1\", \"rest: freeze\"]'.",
            valueName: "name: value, …"), transform: TrainingStage.init(parsing:))
    var stages: [TrainingStage] = []
}

extension Packing: ExpressibleByArgument {}
extension Recomputation: ExpressibleByArgument {}
extension Schedule.Shape: ExpressibleByArgument {}
extension Seam: ExpressibleByArgument {}
extension TaughtText: ExpressibleByArgument {}
extension RunResult: ExpressibleByArgument {}
extension StepGuard.Policy: ExpressibleByArgument {}
extension MomentPrecision: ExpressibleByArgument {}
extension GradientPrecision: ExpressibleByArgument {}
extension BenchmarkShape: ExpressibleByArgument {}

/// How a heal moves the weights.
struct HealOptimizer: ParsableArguments {
    @Option(help: ArgumentHelp("The peak learning rate.", valueName: "rate")) var lr = standard.lr
    @Option(
        help: ArgumentHelp(
            "That of the embedding and the output head (default: a fifth of --lr, twice --lr for rows that a surgery has added).",
            valueName: "rate"))
    var embeddingLr: Double?
    @Option(
        help: "The course of the rate: constant, cosine, linear, wsd, infinite, sqrt (no warm-up) or joined.")
    var schedule = standard.schedule
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "What the schedule joined is made of, as in 'linear 100 0-1' 'constant 70% 1' 'sqrt rest 1-0.1'.",
            valueName: "shape length from-to"))
    var pieces: [String] = []
    @Option(
        help: ArgumentHelp(
            "Steps of rising rate (default: a hundredth of all, at least 10, at most a quarter).",
            valueName: "steps"))
    var warmup: Int?
    @Option(
        help: ArgumentHelp("The share of the peak at which the rate begins to rise.", valueName: "share"))
    var warmupFrom = standard.warmupFrom
    @Option(help: ArgumentHelp("What is left of the rate at the end.", valueName: "share")) var minLrRatio =
        standard.minLrRatio
    @Option(
        help: ArgumentHelp(
            "The part of all steps in which wsd and infinite fall at the end, by 1 − √.", valueName: "share"))
    var decayShare = standard.decayShare
    @Option(help: ArgumentHelp("The share of the peak that infinite holds.", valueName: "share"))
    var holdRatio = standard.holdRatio
    @Option(help: ArgumentHelp("The part of all steps in which infinite falls to it.", valueName: "share"))
    var cooldownShare = standard.cooldownShare
    @Option(help: ArgumentHelp("AdamW's first decay.", valueName: "share")) var beta1 = standard.beta1
    @Option(help: ArgumentHelp("AdamW's second decay.", valueName: "share")) var beta2 = standard.beta2
    @Option(help: ArgumentHelp("Added to the root of the second moment.", valueName: "number")) var eps =
        standard.eps
    @Option(help: ArgumentHelp("Decay of tensors of two or more dimensions.", valueName: "share"))
    var weightDecay = standard.weightDecay
    @Option(help: ArgumentHelp("Clip the norm of all gradients to this; 0 does not.", valueName: "norm"))
    var clip = standard.clip
    @Option(
        help: ArgumentHelp(
            "How both moments are kept: f32, bf16 or 8bit (8, 4 or 2 bytes a parameter; default: 8bit, with --on f32, which takes no 8bit).",
            valueName: "kind"))
    var moments: MomentPrecision?
    @Option(
        help: ArgumentHelp(
            "How the gradients of matrices are kept: f32, or bf16 (the default where --accumulate is 1, but not with --on).",
            valueName: "kind"))
    var gradients: GradientPrecision?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Train only the tensors whose names are like these, such as 'model.layers.[0-7].*'.",
            valueName: "pattern"))
    var train: [String] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Leave the tensors whose names are like these as they are.", valueName: "pattern"))
    var freeze: [String] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Move what a surgery has added, or other parts, in a way of their own, as in 'new-rows: rate=2, decay=0' 'old-rows: freeze'.",
            valueName: "group: how"))
    var groups: [String] = []
    @Option(
        help: ArgumentHelp(
            "The base of the rotary position embedding (default: the model's own).", valueName: "base"))
    var ropeTheta: Double?
    @Option(
        help:
            "How the run begins where a surgery has copied layers: plain (as they are) or ramp (what they add grows from nothing; not where they were trained since)."
    )
    var seam = standard.seam
    @Option(
        help: ArgumentHelp(
            "The share of the first stage's steps after which a ramp is over.", valueName: "share"))
    var rampShare = standard.rampShare
    @Option(help: ArgumentHelp("Decides the order of the data.", valueName: "number")) var seed: UInt64 = 0
}

/// When a heal is judged, and when it ends before its last step.
struct HealJudgement: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "When sets are evaluated, in per cent of the steps (default: 0 1 2 5 10 20 50 100).",
            valueName: "per cent"))
    var evalAt: [Double] = []
    @Option(help: ArgumentHelp("Steps between evaluations instead.", valueName: "steps")) var evalEvery: Int?
    @Option(
        name: .customLong("guard"),
        help: ArgumentHelp(
            "What becomes of a step whose loss or gradient is no number or a spike: skip, rollback (to the last checkpoint), stop, or off (spikes are taken).",
            valueName: "policy"))
    var policy = standard.guarding
    @Option(
        help: ArgumentHelp(
            "From how many standard deviations above the last 128 steps on it is a spike.",
            valueName: "deviations"))
    var guardSigma = standard.guardSigma
    @Option(
        help: ArgumentHelp(
            "End after so many evaluations without improvement; they count once the sets are back at where they began, or half of the run is over.",
            valueName: "evaluations"))
    var patience: Int?
    @Flag(help: "End when the sets of the original domain are where the parent has them.")
    var untilHealed = false
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "The sets that count for that (default: those called as a replayed source is).", valueName: "set")
    )
    var healedBy: [String] = []
    @Option(
        help: ArgumentHelp("Keep the run and stop after this time, as in 3h30m.", valueName: "time"))
    var maxTime: String?
}

/// Where a heal's result goes, and what is kept on the way.
struct HealResult: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The result's folder (default: MODEL-healed).", valueName: "folder"))
    var output: String?
    @Flag(help: "Replace an output, or an unfinished run for it.") var force = false
    @Flag(help: "Go on with an unfinished run.") var resume = false
    @Option(
        help: ArgumentHelp(
            "Go on from this one of the checkpoints that were kept, and drop those after it.",
            valueName: "step"))
    var atStep: Int?
    @Option(
        help: ArgumentHelp(
            "Begin with a checkpoint of another run: its weights, and the moments of what is trained in both.",
            valueName: "OUT.run/step-N"))
    var from: String?
    @Option(
        help: ArgumentHelp(
            "Steps between checkpoints; 0 keeps one only when the run is stopped, or a stage ends.",
            valueName: "steps"))
    var checkpointEvery = standard.checkpointEvery
    @Option(
        help: ArgumentHelp(
            "Keep the last so many checkpoints, after the run, too (default: one, while it goes on).",
            valueName: "count"))
    var keep: Int?
    @Flag(help: "Keep the checkpoint that is best by evaluation, too.") var keepBest = false
    @Option(
        name: .customLong("result"),
        help: ArgumentHelp(
            "What becomes the result: last, best (by evaluation) or average (of the weights).",
            valueName: "which"))
    var which = standard.result
    @Option(
        help: ArgumentHelp("What is left of the running average after an update.", valueName: "share"))
    var averageDecay = standard.averageDecay
    @Option(help: ArgumentHelp("Write a line of JSON a step to this file or pipe.", valueName: "file"))
    var log: String?
    @Option(
        help: ArgumentHelp(
            "The folder of event files that TensorBoard reads (default: OUT.run/tensorboard).",
            valueName: "folder"))
    var tensorboard: String?
    @Flag(help: "Write no event files.") var noTensorboard = false
    @Flag(help: "Say what the run would do and take, and end.") var dryRun = false
    @Flag(
        help:
            "Say that, and of every parameter what it is and where that came from: given, a stage, the default, the model, the data, a rule or a checkpoint."
    )
    var explain = false
    @Flag(help: "Print one JSON object on standard output at the end.") var json = false

    func validate() throws {
        guard !(force && resume) else {
            throw ValidationError("--force begins again and --resume goes on; give one")
        }
        guard atStep == nil || resume else { throw ValidationError("--at-step says where --resume goes on") }
    }
}

extension TrainingJob {
    /// Takes over what it reads.
    mutating func take(_ data: HealData, _ text: TextArguments) {
        (self.data, replay, ids, eval) = (data.files, data.replay, data.ids, data.evaluations)
        (parent, noParent) = (data.parent, data.noParent)
        (packing, fromScratch) = (data.packing, data.fromScratch)
        (infill, infillSpm, infillTokens) = (data.infill, data.infillSpm, data.infillTokens)
        syntheticCap = data.syntheticCap
        (endOfText, noEndOfText) = (data.ends.token, data.ends.noEndOfText)
        (textKey, nfc) = (text.textKey, text.nfc)
        (skipBadLines, plainText) = (text.skipBadLines, text.plainText)
    }

    /// Takes over in what portions it computes.
    mutating func take(_ batches: HealBatches) {
        (batch, accumulate, length) = (batches.batch, batches.accumulate, batches.length)
        recompute = batches.recompute
    }

    /// Takes over how it moves the weights; what the optimizer keeps stays as it is where nothing was typed.
    mutating func take(_ optimizer: HealOptimizer) {
        (lr, embeddingLr) = (optimizer.lr, optimizer.embeddingLr)
        (schedule, warmup, minLrRatio) = (optimizer.schedule, optimizer.warmup, optimizer.minLrRatio)
        (warmupFrom, pieces) = (optimizer.warmupFrom, optimizer.pieces)
        (decayShare, holdRatio, cooldownShare) = (
            optimizer.decayShare, optimizer.holdRatio, optimizer.cooldownShare
        )
        (beta1, beta2, eps) = (optimizer.beta1, optimizer.beta2, optimizer.eps)
        (weightDecay, clip) = (optimizer.weightDecay, optimizer.clip)
        (moments, gradients) = (optimizer.moments ?? moments, optimizer.gradients ?? gradients)
        (train, freeze, seed) = (optimizer.train, optimizer.freeze, optimizer.seed)
        (groups, ropeTheta) = (optimizer.groups, optimizer.ropeTheta)
        (seam, rampShare) = (optimizer.seam, optimizer.rampShare)
    }
}
