internal import Formats

/// A short run at one share of the new domain: what it made of each set, on its way and at its end.
public struct MixtureTrial: Codable, Sendable, Equatable {
    /// The share of the new domain.
    public var share: Double
    /// What was measured, in the order of the tokens.
    public var stops: [Stop]

    /// What was measured after some tokens.
    public struct Stop: Codable, Sendable, Equatable {
        /// Tokens trained on.
        public var tokens: Int
        /// Bits per byte of each set, by its name.
        public var bitsPerByte: [String: Double]

        enum CodingKeys: String, CodingKey {
            case tokens
            case bitsPerByte = "bits_per_byte"
        }
    }
}

extension MixtureTrial {
    /// The same, its sets called otherwise and others left out.
    ///
    /// - Parameter names: of each set the name that it has, and the one that it gets.
    /// - Returns: it; nil where something was not measured.
    func called(_ names: [(old: String, new: String)]) -> MixtureTrial? {
        guard stops.count == Self.parts.count else { return nil }
        var trial = self
        for index in stops.indices {
            trial.stops[index].bitsPerByte = [:]
            for name in names {
                guard let value = stops[index].bitsPerByte[name.old] else { return nil }
                trial.stops[index].bitsPerByte[name.new] = value
            }
        }
        return trial
    }

    /// At which parts of its steps a trial is measured.
    static let parts = [0.25, 0.5, 0.75, 1]

    /// Trains a job in memory, and writes nothing.
    ///
    /// - Parameters:
    ///   - prepared: the trial's job.
    ///   - share: the share of the new domain in it.
    ///   - isCancelled: asked often; true stops.
    ///   - progress: told how many steps are done.
    /// - Throws: ``UserFacingError`` when a text can't be read any more, memory lacks, a set's loss is no number, or it was
    ///   stopped.
    init(
        _ prepared: PreparedJob, share: Double, isCancelled: () -> Bool, progress: (Int) -> Void
    ) throws {
        let stage = prepared.stages[0]
        let engine = try DefaultEngine(threads: prepared.options.threads)
        let state = try TrainingState(
            stage.plan, stage.model.architecture, layout: stage.layout, groups: stage.groups,
            data: stage.data, on: engine)
        try stage.model.load(into: state.model, isCancelled: isCancelled)
        var stops: [Stop] = []
        let steps = stage.plan.steps
        let ends = Self.parts.map { Int((Double(steps) * $0).rounded()) }
        for step in 1...steps {
            if isCancelled() { throw UserFacingError.interrupted(", within a trial") }
            _ = try state.takeStep(isCancelled: isCancelled)
            progress(step)
            guard ends.contains(step) else { continue }
            var values: [String: Double] = [:]
            for set in prepared.evaluations {
                let result = try set.evaluate(
                    state.model, window: prepared.window, isCancelled: isCancelled)
                guard let bits = result.bitsPerByte, bits.isFinite else {
                    throw UserFacingError.notMeasured(set.name, share: share, step: step)
                }
                values[set.name] = bits
            }
            stops.append(Stop(tokens: state.sources.tokens, bitsPerByte: values))
        }
        self.init(share: share, stops: stops)
    }
}

extension UserFacingError {
    fileprivate static func notMeasured(_ set: String, share: Double, step: Int) -> Self {
        Self(
            .notFinite,
            """
            the set '\(set)' has no bits per byte after step \(step) of the trial at share \(share): it is no text, or the \
            weights grew too large; give text, or a lower rate
            """)
    }
}
