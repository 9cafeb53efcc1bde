public import ArgumentParser
public import Trainer

/// What a heal reads.
struct HealData: ParsableArguments {
    @Option(
        name: .customLong("data"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "Text to train on, or tokens that tokenize packed, and its share of the mixture.",
            valueName: "[name=]file[:weight]"))
    var files: [WeightedFile] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "The same, and it is of the model's original domain.", valueName: "[name=]file[:weight]"))
    var replay: [WeightedFile] = []
    @Option(
        help: ArgumentHelp(
            "Rows of tokens instead: a safetensors file with input_ids[N, T].", valueName: "file"))
    var ids: String?
    @Option(
        name: .customLong("eval"), parsing: .upToNextOption,
        help: ArgumentHelp("A set to evaluate before and after.", valueName: "[name=]file"))
    var evaluations: [NamedFile] = []
    @Flag(help: "Let a token see other documents before its own in the same sequence.") var crossDocuments =
        false
    @OptionGroup var ends: EndOptions
    @Flag(help: "MODEL holds only config.json and the tokenizer; begin with random weights.")
    var fromScratch = false

    func validate() throws {
        guard (files + replay).isEmpty != (ids == nil) else {
            throw ValidationError("give either text (--data, --replay) or --ids")
        }
        if let twice = evaluations.map(\.name).firstRepeated {
            throw ValidationError("two sets are called '\(twice)'; give each its own name")
        }
        if let twice = (files + replay).map(\.name).firstRepeated {
            throw ValidationError(
                "two sources are called '\(twice)'; give it once, or each its own name, as in NAME=FILE")
        }
        try refuseModels(among: (files + replay).map(\.path) + evaluations.map(\.path))
    }

    var source: HealingRequest.Data {
        if let ids { return .rows(path: ids) }
        return .text(files.map { $0.source(isReplay: false) } + replay.map { $0.source(isReplay: true) })
    }
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
    @Option(help: ArgumentHelp("Sequences computed at once.", valueName: "count")) var batch = 8
    @Option(help: ArgumentHelp("How often that is done for one step.", valueName: "count")) var accumulate = 1
    @Option(
        help: ArgumentHelp(
            "Tokens of a sequence (default: 512, or fewer if the model sees fewer).", valueName: "tokens"))
    var length: Int?
    @Option(
        help: ArgumentHelp(
            "What the backward pass computes again to save memory: none, norms or layer.", valueName: "what"))
    var recompute = Recomputation.norms

    func validate() throws {
        guard [steps, tokens, epochs].count(where: { $0 != nil }) <= 1 else {
            throw ValidationError("give one of --steps, --tokens and --epochs")
        }
        let counts = [
            ("--steps", steps), ("--tokens", tokens), ("--epochs", epochs), ("--batch", batch),
            ("--accumulate", accumulate),
            ("--length", length),
        ]
        for case (let name, let count?) in counts where !(1...1_000_000_000_000).contains(count) {
            throw ValidationError("\(name) must be from 1 to 1,000,000,000,000, not \(count)")
        }
        guard epochs ?? 1 <= 1_000_000 else { throw ValidationError("--epochs can be at most 1,000,000") }
        guard batch <= 1 << 20, accumulate <= 1 << 20, length ?? 1 <= 1 << 24 else {
            throw ValidationError("--batch and --accumulate can be at most 1,048,576, --length 16,777,216")
        }
    }
}

extension HealExtent {
    /// Where the data ends; steps end a run of their own.
    var data: DataExtent {
        if let tokens { return .tokens(tokens) }
        return steps == nil ? .passes(epochs ?? 1) : .unlimited
    }
}

extension Recomputation: ExpressibleByArgument {}
extension Schedule.Shape: ExpressibleByArgument {}
extension MomentPrecision: ExpressibleByArgument {}
extension GradientPrecision: ExpressibleByArgument {}
extension BenchmarkShape: ExpressibleByArgument {}

/// How a heal moves the weights.
struct HealOptimizer: ParsableArguments {
    @Option(help: ArgumentHelp("The peak learning rate.", valueName: "rate")) var lr = 5e-5
    @Option(
        help: ArgumentHelp(
            "That of the embedding and the output head (default: a fifth of --lr).", valueName: "rate"))
    var embeddingLr: Double?
    @Option(help: "What follows the warm-up: constant or cosine.") var schedule = Schedule.Shape.cosine
    @Option(
        help: ArgumentHelp(
            "Steps of rising rate (default: a hundredth of all, at least 10, at most a quarter).",
            valueName: "steps"))
    var warmup: Int?
    @Option(help: ArgumentHelp("What is left of the rate at the end.", valueName: "share")) var minLrRatio =
        0.1
    @Option(help: ArgumentHelp("AdamW's first decay.", valueName: "share")) var beta1 = 0.9
    @Option(help: ArgumentHelp("AdamW's second decay.", valueName: "share")) var beta2 = 0.95
    @Option(help: ArgumentHelp("Added to the root of the second moment.", valueName: "number")) var eps = 1e-8
    @Option(help: ArgumentHelp("Decay of tensors of two or more dimensions.", valueName: "share"))
    var weightDecay = 0.1
    @Option(help: ArgumentHelp("Clip the norm of all gradients to this; 0 does not.", valueName: "norm"))
    var clip = 1.0
    @Option(
        help: ArgumentHelp(
            "How both moments are kept: f32, bf16 or 8bit (8, 4 or 2 bytes a parameter).", valueName: "kind"))
    var moments = MomentPrecision.int8
    @Option(
        help: ArgumentHelp(
            "How the gradients of matrices are kept: f32, or bf16 (the default where --accumulate is 1).",
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
    @Option(help: ArgumentHelp("Decides the order of the data.", valueName: "number")) var seed: UInt64 = 0

    func validate() throws {
        try require("--lr", lr, in: 0...10, "from 0 to 10")
        try require("--embedding-lr", embeddingLr ?? 0, in: 0...10, "from 0 to 10")
        try require("--min-lr-ratio", minLrRatio, in: 0...1, "from 0 to 1")
        try require("--beta1", beta1, in: 0...0.999999, "from 0 to below 1")
        try require("--beta2", beta2, in: 0...0.999999, "from 0 to below 1")
        try require("--eps", eps, in: 1e-12...1, "from 1e-12 to 1")
        try require("--weight-decay", weightDecay, in: 0...10, "from 0 to 10")
        try require("--clip", clip, in: 0...1e9, "0 or more")
        if let warmup, warmup < 0 { throw ValidationError("--warmup must be 0 or more, not \(warmup)") }
    }

    private func require(_ name: String, _ value: Double, in range: ClosedRange<Double>, _ words: String)
        throws
    {
        guard range.contains(value) else { throw ValidationError("\(name) must be \(words), not \(value)") }
    }

    var settings: AdamWSettings {
        AdamWSettings(
            rate: lr, embeddingScale: lr == 0 ? 0 : (embeddingLr ?? lr / 5) / lr, beta1: beta1, beta2: beta2,
            epsilon: eps, weightDecay: weightDecay, clip: clip == 0 ? nil : clip)
    }
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
            "Steps between checkpoints; 0 keeps one only when the run is stopped.", valueName: "steps"))
    var checkpointEvery = 100
    @Option(help: ArgumentHelp("Write a line of JSON a step to this file or pipe.", valueName: "file"))
    var log: String?
    @Flag(help: "Say what the run would do and take, and end.") var dryRun = false
    @Flag(help: "Print one JSON object on standard output at the end.") var json = false

    func validate() throws {
        guard checkpointEvery >= 0 else {
            throw ValidationError("--checkpoint-every must be 0 or more, not \(checkpointEvery)")
        }
        guard !(force && resume) else {
            throw ValidationError("--force begins again and --resume goes on; give one")
        }
    }
}
