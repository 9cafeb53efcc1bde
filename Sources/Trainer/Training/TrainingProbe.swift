public import Formats
internal import Models

/// The first steps of a healing, taken on several forms of one model to see with which it goes best: on all of them the
/// same text in the same order, and judged on documents of the same text that are held back.
///
/// Nothing is written; a form is read into memory, trained, measured and given up.
public struct TrainingProbe {
    /// How much is done with each form.
    public struct Size: Sendable, Equatable {
        /// Optimizer steps.
        public var steps: Int
        /// Sequences of a step, and the tokens of each; fewer where the model sees fewer.
        public var batch: Int, length: Int
        /// How many sequences' worth of tokens are held back.
        public var heldBack: Int

        /// 50 steps of 1,280 tokens, 64,000 in all, and 16,384 tokens that are held back: from that many on the order of
        /// methods hardly changes any more (Beyond Initialization Loss, arXiv 2608.03494).
        public static let standard = Size(steps: 50, batch: 5, length: 256, heldBack: 64)

        /// A size.
        public init(steps: Int, batch: Int, length: Int, heldBack: Int) {
            (self.steps, self.batch, self.length, self.heldBack) = (steps, batch, length, heldBack)
        }
    }

    /// A text, and the files that it lies in.
    public struct Text: Sendable {
        /// What it is called, its share, and whether it is of the original domain.
        public let source: TextSource
        /// Files, folders or patterns.
        public let paths: [String]

        /// A text.
        public init(_ source: TextSource, in paths: [String]) { (self.source, self.paths) = (source, paths) }
    }

    /// What was made of the text that was held back, in bits per byte.
    public struct Finding: Sendable, Equatable {
        /// Before the first step, and after the last; not finite where the numbers of the model grew too large.
        public let before: Double, after: Double
    }

    /// How much is done with each form, as the model sees it.
    public let size: Size
    /// What training takes.
    public let memory: MemoryNeed
    /// Bytes of the text that is trained on.
    public let trainingBytes: Int
    /// What is held back: documents, their tokens, and the bytes of their text.
    public let heldBack: (documents: Int, tokens: Int, bytes: Int)

    private let job: TrainingJob
    private let sets: [EvaluationSet]
    private let texts: SourceCache
    private let threads: Int

    /// Opens the texts and divides them.
    ///
    /// - Parameters:
    ///   - job: rates and all else that is the healing's; its data, length and steps do not count.
    ///   - texts: what to train on, at least one, each of other files.
    ///   - checkpoint: the model in one of its forms, whose tokenizers are the same.
    ///   - newTokens: tokens of which the text must have some; none asks for none.
    ///   - size: how much is done with each.
    ///   - threads: how many threads compute; no result depends on it.
    ///   - isCancelled: asked often; true stops.
    /// - Throws: a `UserFacingError` when a text can't be read, is too little or has none of these tokens, or the model can't be
    ///   trained.
    public init(
        _ job: TrainingJob, on texts: [Text], of checkpoint: Checkpoint, newTokens: [Range<Int>] = [],
        size: Size = .standard, threads: Int, isCancelled: () -> Bool = { false }
    ) throws {
        let model = try PretrainedModel(checkpoint)
        let tokenizer = try model.tokenizer()
        let (layout, _, _) = try model.documentLayout(tokenizer, endOfText: job.end)
        var size = size
        size.length = min(size.length, model.architecture.maximumLength)
        var cache = SourceCache(
            tokenizer: tokenizer, vocabularySize: model.architecture.vocabularySize, threads: threads,
            counting: newTokens.isEmpty ? nil : TokenExposure(of: newTokens.joined()))
        let whole = texts.reduce(0) { $0 + $1.source.weight }
        var (sets, bytes, held): ([EvaluationSet], Int, (Int, Int, Int)) = ([], 0, (0, 0, 0))
        for (index, text) in texts.enumerated() {
            let encoder = try DocumentEncoder(
                paths: text.paths, options: job.text, tokenizer: tokenizer.reading(job.text), layout: layout,
                vocabularySize: model.architecture.vocabularySize)
            let parts = try Parts(
                of: encoder, size, share: text.source.weight / whole, seed: job.seed, source: index,
                isCancelled: isCancelled)
            try cache.put(encoder.only(parts.trained), for: text.source, options: job.text)
            let set = try EvaluationSet(name: text.source.name, of: encoder.only(parts.heldBack))
            sets.append(set)
            bytes += parts.trainedBytes
            held = (
                held.0 + parts.heldBack.count, held.1 + parts.heldBackTokens, held.2 + (set.bytes ?? 0)
            )
        }
        (self.size, self.sets, self.texts, self.threads) = (size, sets, cache, threads)
        (trainingBytes, heldBack) = (bytes, held)
        var own = job
        (own.data, own.replay) = (texts.map(\.source).filter { !$0.isReplay }, [])
        own.replay = texts.map(\.source).filter(\.isReplay)
        (own.steps, own.tokens, own.epochs) = (size.steps, nil, nil)
        (own.batch, own.accumulate, own.length) = (size.batch, 1, size.length)
        self.job = own
        let stage = try Self.stage(own, model, tokenizer, cache, sets, threads: threads)
        memory = stage.memory
        let count = newTokens.reduce(0) { $0 + $1.count }
        if count > 0, !stage.newTokens.contains(where: { $0.targets.contains { $0 > 0 } }) {
            throw UserFacingError.noNewToken(in: texts.flatMap(\.paths), count: count)
        }
    }

    /// The healing of a form.
    private static func stage(
        _ job: TrainingJob, _ model: PretrainedModel, _ tokenizer: Tokenizer, _ texts: SourceCache,
        _ sets: [EvaluationSet], threads: Int
    ) throws -> PreparedStage {
        var context = PreparedStage.Context(
            model: model, tokenizer: tokenizer, lacksFiles: false, texts: texts, newTokens: nil,
            evaluationBytes: sets.reduce(0) { $0 + $1.byteCount }, kept: nil, trainedBefore: [],
            threads: threads, isCancelled: { false })
        return try PreparedStage(job, index: 0, after: [], title: nil, keepsEnd: false, &context)
    }

    private func stage(_ checkpoint: Checkpoint) throws -> PreparedStage {
        let model = try PretrainedModel(checkpoint)
        return try Self.stage(job, model, model.tokenizer(), texts, sets, threads: threads)
    }

    /// Looks whether training fits into the memory that is available.
    ///
    /// - Throws: ``UserFacingError`` with both numbers.
    public func check(available: Int? = MemoryNeed.available) throws(UserFacingError) {
        guard let available, memory.total > available else { return }
        throw UserFacingError(
            .resources,
            """
            trying takes about \(memory.total / 1_000_000) MB of memory, as training does, and \
            \(available / 1_000_000) MB are available
            """)
    }

    /// About how many seconds one form takes, as ``PreparedJob/expectedSeconds()`` tells it of a job.
    ///
    /// - Throws: ``UserFacingError`` when there is no OpenBLAS.
    public func expectedSeconds(of checkpoint: Checkpoint) throws -> Double {
        var rates: [[[Int]]: Double] = [:]
        let steps = try stage(checkpoint).expectedSeconds(on: DefaultEngine(threads: threads), &rates)
        // A pass forward is a third of a step's products, and what is held back has two.
        let trained = Double(size.steps * size.batch * size.length)
        return steps * (1 + 2 * Double(heldBack.tokens) / 3 / trained)
    }

    /// Trains one form, and measures it before and after.
    ///
    /// - Parameters:
    ///   - checkpoint: the model in that form.
    ///   - isCancelled: asked often; true stops.
    ///   - progress: told how many steps are done.
    /// - Returns: what was found; the same on any number of threads.
    /// - Throws: ``UserFacingError`` when a text can't be read any more, memory lacks, or it was stopped.
    public func measure(
        _ checkpoint: Checkpoint, isCancelled: () -> Bool = { false }, progress: (Int) -> Void = { _ in }
    ) throws -> Finding {
        let stage = try stage(checkpoint)
        let state = try TrainingState(
            stage.plan, stage.model.architecture, layout: stage.layout, groups: stage.groups,
            data: stage.data, on: DefaultEngine(threads: threads))
        try stage.model.load(into: state.model, isCancelled: isCancelled)
        let before = try bitsPerByte(state.model, isCancelled)
        for step in 1...size.steps {
            if isCancelled() { throw UserFacingError.interrupted("; nothing is kept") }
            _ = try state.takeStep(isCancelled: isCancelled)
            progress(step)
        }
        return Finding(before: before, after: try bitsPerByte(state.model, isCancelled))
    }

    private func bitsPerByte(
        _ model: Transformer<DefaultEngine>, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> Double {
        var bits = 0.0
        for set in sets {
            let result = try set.evaluate(model, window: size.length, isCancelled: isCancelled)
            bits += (result.bitsPerByte ?? .nan) * Double(set.bytes ?? 0)
        }
        return bits / Double(heldBack.bytes)
    }
}

/// Which documents of a text are trained on, and which are held back.
private struct Parts {
    private(set) var trained: [Int] = [], heldBack: [Int] = []
    private(set) var trainedBytes = 0, heldBackTokens = 0

    /// Takes documents in an order that chance decides, the same always: first those that are held back, none of which is
    /// longer than four times all that should be, then the others.
    ///
    /// - Throws: ``UserFacingError`` when there is too little for both.
    init(
        of encoder: DocumentEncoder, _ size: TrainingProbe.Size, share: Double, seed: UInt64, source: Int,
        isCancelled: () -> Bool
    ) throws(UserFacingError) {
        func part(_ tokens: Int) -> Int { Int((share * Double(tokens)).rounded(.up)) }
        let goal = size.heldBack * size.length
        let most = 4 * goal
        let (wanted, wantedBack) = (part(size.steps * size.batch * size.length), part(goal))
        var (trainedTokens, tokens) = (0, 0)
        for number in documentOrder(count: encoder.count, seed: seed, source: source, pass: 0) {
            guard trainedTokens < wanted || heldBackTokens < wantedBack else { break }
            if isCancelled() { throw .interrupted(" before the text was divided; nothing is kept") }
            let document = try encoder.text(Int(number))
            let count = document.tokens.count
            tokens += count
            // The only token of a document may have nothing that predicts it.
            guard count > 1 else { continue }
            if heldBackTokens < wantedBack, count <= most {
                heldBack.append(Int(number))
                heldBackTokens += count
            } else if trainedTokens < wanted {
                trained.append(Int(number))
                trainedBytes += document.byteCount
                trainedTokens += count
            }
        }
        guard trainedTokens >= wanted, heldBackTokens >= wantedBack else {
            throw UserFacingError(
                .missing,
                """
                \(encoder.path) has \(Units.grouped(tokens)) tokens in \(Units.grouped(encoder.count)) documents, and trying \
                takes \(Units.grouped(wanted)) to train on and \(Units.grouped(wantedBack)) in other documents, none longer than \
                \(Units.grouped(most)), to judge by
                """)
        }
    }
}

extension UserFacingError {
    /// A text on which new rows would be tried has none of their tokens.
    fileprivate static func noNewToken(in paths: [String], count: Int) -> Self {
        Self(
            .inconsistent,
            """
            none of the \(Units.grouped(count)) new tokens is in what would be trained on of \(paths.joined(separator: ", ")), \
            so that it can't tell how their rows should begin
            """)
    }
}
