public import Formats
internal import Models
internal import OrderedCollections

/// An evaluation of a model.
public struct EvaluationRequest: Sendable {
    /// The model's folder; that of a model that was not written, for messages.
    public var model: String
    /// The model, where it was not written.
    public var checkpoint: Checkpoint?
    /// Sets of documents, by name and file.
    public var sets: [(name: String, path: String)]
    /// Questions with choices, by name and file: see ``ChoiceResult``.
    public var choices: [(name: String, path: String)] = []
    /// Texts to complete, by name and file: see ``CompletionResult``.
    public var completions: [(name: String, path: String)] = []
    /// How documents are read.
    public var text: TextOptions
    /// A safetensors file with `input_ids`, evaluated row by row in place of documents.
    public var rows: String?
    /// Where the rows' logits are written, as `logits` (N, T, V) in float32.
    public var logits: String?
    /// What ends a document.
    public var endOfText: EndOfText
    /// Tokens of a window; 0 for 512, or as many as the model sees.
    public var length: Int
    /// How many threads compute.
    public var threads: Int

    /// An evaluation.
    public init(
        model: String, sets: [(name: String, path: String)] = [], text: TextOptions = TextOptions(),
        rows: String? = nil, logits: String? = nil, endOfText: EndOfText = .ofModel, length: Int = 0,
        threads: Int
    ) {
        self.model = model
        self.sets = sets
        self.text = text
        self.rows = rows
        self.logits = logits
        self.endOfText = endOfText
        self.length = length
        self.threads = threads
    }

    /// About how many tokens are computed at once.
    static let tokensAtOnce = 2_048

    /// Carries it out.
    ///
    /// - Parameters:
    ///   - isCancelled: asked often; true stops.
    ///   - warn: is told what the user should know of the model.
    /// - Returns: the results by name; rows are a set that is called `ids`.
    /// - Throws: a `UserFacingError` that names the file, key or tensor.
    public func run(
        isCancelled: () -> Bool = { false }, warn: (String) -> Void = { _ in }
    ) throws -> EvaluationOutcome {
        let model = try checkpoint.map { try PretrainedModel($0) } ?? .open(model)
        let length = length == 0 ? model.usualLength : length
        model.notes.forEach(warn)
        let engine = try DefaultEngine(threads: threads)
        if let rows {
            let rows = try TokenDataset(path: rows, vocabularySize: model.architecture.vocabularySize)
            let transformer = try model.evaluated(
                batch: 1, length: rows.length, on: engine, isCancelled: isCancelled)
            return EvaluationOutcome(sets: [("ids", try evaluate(rows, transformer, isCancelled))])
        }
        // Files are read before anything is computed, so that a bad line is told at once.
        let texts = try completions.map { (name: $0.name, items: try CompletionItem.read($0.path)) }
        var outcome = EvaluationOutcome()
        if !self.sets.isEmpty || !choices.isEmpty {
            outcome = try predict(model, length: length, on: engine, isCancelled, warn)
        }
        guard !texts.isEmpty else { return outcome }
        let generator = try Generator(
            model, threads: threads, isPlain: text.isPlain, isCancelled: isCancelled)
        outcome.completions = try texts.map { name, items in
            let made = try generator.generate(items.map(\.request), isCancelled: isCancelled)
            return (name, zip(items, made).map { Completion($0, generated: $1.text) })
        }
        return outcome
    }

    /// Predicts texts and choices.
    private func predict(
        _ model: PretrainedModel, length: Int, on engine: DefaultEngine, _ isCancelled: () -> Bool,
        _ warn: (String) -> Void
    ) throws -> EvaluationOutcome {
        let sets = try EvaluationSet.read(sets, options: text, for: model, endOfText: endOfText, warn: warn)
        for set in sets { set.warnings.forEach(warn) }
        let tasks = try ChoiceSet.read(choices, for: model, isPlain: text.isPlain)
        for task in tasks { task.warnings.forEach(warn) }
        // A row holds several windows, and each choice whole.
        let row = tasks.reduce(sets.isEmpty ? 1 : length) { max($0, $1.longest) }
        let most =
            sets.map { $0.rowCount(length: row, window: length) } + tasks.map { $0.rowCount(length: row) }
        let batch = max(1, min(Self.tokensAtOnce / row, most.max() ?? 1))
        let transformer = try model.evaluated(
            batch: batch, length: row, on: engine, isCancelled: isCancelled)
        return EvaluationOutcome(
            sets: try sets.map {
                ($0.name, try $0.evaluate(transformer, window: length, isCancelled: isCancelled))
            },
            tasks: try tasks.map {
                ($0.name, try $0.decisions(of: transformer, isCancelled: isCancelled))
            })
    }

    private func evaluate(
        _ rows: TokenDataset, _ transformer: Transformer<DefaultEngine>, _ isCancelled: () -> Bool
    ) throws -> EvaluationResult {
        guard let logits else { return try rows.evaluate(transformer, isCancelled: isCancelled) }
        try TextPaths.check(logits, apartFrom: [self.rows, self.model].compactMap(\.self))
        let shape = [rows.count, rows.length, transformer.architecture.vocabularySize]
        let writer = try SafetensorsStream(path: logits, name: "logits", shape: shape)
        var failure: UserFacingError?
        let result = try rows.evaluate(transformer, isCancelled: isCancelled) { block in
            guard failure == nil else { return }
            var values = [Float](repeating: 0, count: block.count)
            var span = values.mutableSpan
            transformer.engine.download(block, to: &span)
            do throws(UserFacingError) { try writer.append(values) } catch { failure = error }
        }
        if let failure { throw failure }
        try writer.close()
        return result
    }
}

/// What an evaluation has found.
public struct EvaluationOutcome: Sendable {
    /// The results of sets of documents, or of rows, by name.
    public var sets: [(name: String, result: EvaluationResult)] = []
    /// What was made of each question of the sets with choices, by name.
    public var tasks: [(name: String, decisions: [ChoiceDecision])] = []
    /// What was made of each text to complete, by name.
    public var completions: [(name: String, texts: [Completion])] = []

    /// An outcome.
    public init(
        sets: [(name: String, result: EvaluationResult)] = [],
        tasks: [(name: String, decisions: [ChoiceDecision])] = []
    ) {
        self.sets = sets
        self.tasks = tasks
    }

    /// The results of the sets with choices, by name.
    public var choices: [(name: String, result: ChoiceResult)] {
        tasks.map { ($0.name, ChoiceResult($0.decisions)) }
    }

    /// The results of the texts to complete, by name.
    public var completed: [(name: String, result: CompletionResult)] {
        completions.map { ($0.name, CompletionResult($0.texts)) }
    }

    /// The first set whose result is no number, though the model holds none.
    public var notFinite: String? {
        sets.first { !$0.result.loss.isFinite }?.name ?? choices.first { !$0.result.accuracy.isFinite }?.name
    }
}

extension PretrainedModel {
    /// The model with its weights and memory for `batch` sequences of `length` tokens, of which nothing is trained.
    ///
    /// - Throws: a `UserFacingError` when the model sees fewer tokens, or its weights cannot be read.
    func evaluated(
        batch: Int, length: Int, on engine: DefaultEngine, isCancelled: () -> Bool
    ) throws -> Transformer<DefaultEngine> {
        guard length <= architecture.maximumLength else {
            throw UserFacingError.sequenceTooLong(
                path: checkpoint.path, length: length, maximum: architecture.maximumLength)
        }
        let layout = try layout(training: .none)
        let transformer = try Transformer(
            architecture, layout: layout,
            plan: ActivationPlan(architecture, layout: layout, batch: batch, sequenceLength: length),
            on: engine)
        try load(into: transformer, isCancelled: isCancelled)
        return transformer
    }
}
