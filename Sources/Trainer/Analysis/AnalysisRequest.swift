public import Formats
public import Models

/// A measurement of a model's layers on text.
public struct AnalysisRequest: Sendable {
    /// The model's folder.
    public var model: String
    /// Sets of documents, by name and file.
    public var sets: [(name: String, path: String)]
    /// How documents are read.
    public var text: TextOptions
    /// What ends a document.
    public var endOfText: EndOfText
    /// The most tokens that are read, the same number of each set and one at least.
    public var tokens: Int
    /// Tokens of a window; 0 for 512, or as many as the model sees.
    public var length: Int
    /// Whether the losses without each layer and with each layer twice are measured.
    public var measuresLosses = true
    /// Whether layers are left out one after the other, and by which measure.
    public var removal: RemovalMeasure?
    /// How many layers a removal leaves; nil for half of them.
    public var remaining: Int?
    /// How many threads compute.
    public var threads: Int

    /// The tokens that are read where nobody says how many.
    public static let usualTokens = 16_384
    /// About how many bytes of streams are kept at once.
    private static let streamsAtOnce = 512 << 20

    /// A measurement.
    public init(
        model: String, sets: [(name: String, path: String)], text: TextOptions = TextOptions(),
        endOfText: EndOfText = .ofModel, tokens: Int = usualTokens, length: Int = 0, threads: Int
    ) {
        self.model = model
        self.sets = sets
        self.text = text
        self.endOfText = endOfText
        self.tokens = tokens
        self.length = length
        self.threads = threads
    }

    /// Carries it out.
    ///
    /// - Parameters:
    ///   - isCancelled: asked often; true stops.
    ///   - warn: is told what the user should know of model and texts.
    ///   - progress: is told how much of the work is done.
    /// - Returns: what was measured.
    /// - Throws: a `UserFacingError` that names the file, key or tensor.
    public func run(
        isCancelled: () -> Bool = { false }, warn: (String) -> Void = { _ in },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> LayerScores {
        let model = try PretrainedModel.open(model)
        if length == 0 {
            var settled = self
            settled.length = model.usualLength
            return try settled.run(isCancelled: isCancelled, warn: warn, progress: progress)
        }
        model.notes.forEach(warn)
        let count = model.architecture.layers.count
        guard count > 0 else { throw UserFacingError.noLayers(path: self.model) }
        let remaining = try remaining(of: count)
        let fingerprint = try model.unchanged.fingerprint()
        let sets = try EvaluationSet.read(
            sets, options: text, for: model, endOfText: endOfText,
            tokens: max(1, tokens / max(1, self.sets.count)), warn: warn)
        for set in sets { set.warnings.forEach(warn) }
        let size = rowsAtOnce(model.architecture, most: sets.map { $0.rowCount(length: length) }.max() ?? 1)
        let transformer = try model.evaluated(
            batch: size, length: length, on: DefaultEngine(threads: threads), isCancelled: isCancelled)
        let batches = sets.flatMap { Array($0.batches(of: size, length: length)) }
        return try withoutActuallyEscaping(isCancelled) { isCancelled in
            try withoutActuallyEscaping(progress) { progress in
                var scores = try measure(
                    transformer, batches, remaining: remaining, isCancelled: isCancelled, progress: progress)
                scores.model = .init(layers: count, fingerprint: fingerprint)
                scores.text?.documents = sets.reduce(0) { $0 + $1.documentCount }
                return scores
            }
        }
    }

    /// How many rows are computed at once: as many as there are, as evaluation computes, and as streams are kept of.
    private func rowsAtOnce(_ architecture: Architecture, most: Int) -> Int {
        let kept =
            (architecture.layers.count + 1) * length * architecture.hiddenSize * MemoryLayout<Float>.size
        return max(1, min(most, EvaluationRequest.tokensAtOnce / length, Self.streamsAtOnce / kept))
    }

    private func remaining(of count: Int) throws(UserFacingError) -> Int {
        let remaining = remaining ?? (count + 1) / 2
        guard removal == nil || remaining < count && remaining > 0 else {
            throw .unreachableRemoval(from: count, to: remaining)
        }
        return remaining
    }

    private func measure(
        _ transformer: Transformer<DefaultEngine>, _ batches: [EvaluationBatch], remaining: Int,
        isCancelled: @escaping () -> Bool, progress: @escaping (Int, Int) -> Void
    ) throws(UserFacingError) -> LayerScores {
        typealias Analysis = LayerAnalysis<DefaultEngine>
        let order = Array(transformer.layout.layers.indices)
        var figures: Analysis.Figures = [.blockInfluence, .angles]
        if measuresLosses { figures.formUnion([.lossWithout, .lossRepeated]) }
        if removal == .loss { figures.insert(.lossWithout) }
        let work =
            Analysis.work(figures, layers: order.count)
            + (removal.map { Analysis.work(removingBy: $0, from: order.count, to: remaining) } ?? 0)
        var done = 0
        let analysis = Analysis(model: transformer, batches: batches, isCancelled: isCancelled) {
            done += $0
            progress(done, work * batches.count)
        }
        let result = try analysis.measure(order, figures)
        guard result.loss.loss.isFinite else {
            throw .lossNotFinite(set: sets.map(\.name).joined(separator: ", "))
        }
        var scores = LayerScores(
            blockInfluence: result.cosines.blockInfluence, angularDistance: result.cosines.angularDistance)
        scores.meanAngularDistance = result.cosines.meanAngularDistance
        scores.loss = result.loss.loss
        scores.text = .init(
            documents: 0, windows: batches.reduce(0) { $0 + $1.lasts.count }, tokens: result.loss.tokens,
            length: length)
        if figures.contains(.lossWithout) { scores.lossWithout = result.lossWithout.map(\.ifFinite) }
        if figures.contains(.lossRepeated) { scores.lossRepeated = result.lossRepeated.map(\.ifFinite) }
        if let removal {
            scores.iterative = try analysis.removal(by: removal, to: remaining, first: result)
        }
        return scores
    }
}

extension UserFacingError {
    fileprivate static func noLayers(path: String) -> Self {
        Self(.unsupported, "\(path) has no layers, so there is nothing to measure")
    }

    fileprivate static func unreachableRemoval(from count: Int, to target: Int) -> Self {
        Self(
            .request,
            "leaving layers out one after the other reaches 1 to \(count - 1) of \(count), not \(target)")
    }
}
